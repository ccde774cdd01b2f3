//! An evicted device that its user logs out and logs in again under the same device ID: the logout deletes the
//! dead account's keys, so that what was rejected before is history.

use anyhow::{Context, Result};
use serde_json::json;

use crate::faults::{self, Patient};
use crate::lab::Lab;

/// Evicted, rejected, logged out, logged in under the same ID, and at work again.
pub async fn cured(lab: &Lab) -> Result<Patient> {
    let mut patient = faults::evict(lab).await?;
    patient.rest();
    // Uploads that are under way end before the session does.
    lab.log_written().await?;
    let token = Some(patient.account.access_token.as_str());
    lab.wire().post("/_matrix/client/v3/logout", token, json!({})).await?;
    let name = patient.user.trim_start_matches('@').split(':').next();
    let name = name.context("a user id without a name")?;
    patient.account = lab.login(name, Some(&patient.device)).await?;
    patient.store = patient.store.with_added_extension("new");
    let device = patient.open(lab).await?;
    device.sync().await?;
    patient.clients.push(device.syncing());
    lab.log_written().await?;
    Ok(patient)
}
