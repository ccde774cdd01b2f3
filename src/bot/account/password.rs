//! A password and a session that works → whether the password is still the account's.
//!
//! It is checked with a request that deletes no device: a homeserver checks the password first and then has nothing
//! to do. A login would also check it, but would create a device each time. The password is never logged.

use matrix_sdk::Client;
use matrix_sdk::ruma::api::client::device::delete_devices;
use matrix_sdk::ruma::api::client::uiaa::{self, AuthData, MatrixUserIdentifier, UserIdentifier};
use ruma::UserId;

/// The homeserver's answer about a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    Right,
    Wrong,
    /// Why it could not be checked: a homeserver that leaves passwords to another service does not know the request,
    /// and some accept it without a password for a while after a login.
    Unknown(String),
}

/// Asks the homeserver.
pub(crate) async fn check(client: &Client, user: &UserId, password: &str) -> Password {
    let session = match client.send(delete_devices::v3::Request::new(Vec::new())).await {
        Ok(_) => return Password::Unknown("the homeserver did not ask for it".to_owned()),
        Err(error) => match error.as_uiaa_response() {
            Some(asked) => asked.session.clone(),
            None => return Password::Unknown(error.to_string()),
        },
    };
    let who = UserIdentifier::Matrix(MatrixUserIdentifier::new(user.to_string()));
    let mut proof = uiaa::Password::new(who, password.to_owned());
    proof.session = session;
    let mut request = delete_devices::v3::Request::new(Vec::new());
    request.auth = Some(AuthData::Password(proof));
    let Err(error) = client.send(request).await else {
        return Password::Right;
    };
    // A wrong password: the homeserver asks again.
    let refused = error.as_uiaa_response().is_some()
        || error.as_client_api_error().is_some_and(|error| error.status_code.as_u16() == 403);
    if refused { Password::Wrong } else { Password::Unknown(error.to_string()) }
}
