//! Work on text that is not redacted yet → the same, with the text of its panics left out: it may quote a user.

use std::cell::Cell;

thread_local! {
    static SEALED: Cell<bool> = const { Cell::new(false) };
}

/// Removes the guard when it is dropped, also in a panic.
struct Seal;

impl Drop for Seal {
    fn drop(&mut self) {
        SEALED.set(false);
    }
}

/// Runs work whose panics must not be quoted.
pub(super) fn without_panic_text<T>(work: impl FnOnce() -> T) -> T {
    SEALED.set(true);
    let _seal = Seal;
    work()
}

/// Installs the panic hook: a panic in guarded work shows its place and nothing more.
pub(super) fn guard_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !SEALED.get() {
            return before(panic);
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("reading a user's file panicked at {place}; the panic's text is left out");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seal_opens_again_after_a_panic() {
        let broken =
            std::panic::catch_unwind(|| without_panic_text(|| assert!(!SEALED.get(), "quoted")));
        assert!(broken.is_err());
        assert!(!SEALED.get());
        assert!(without_panic_text(|| SEALED.get()));
        assert!(!SEALED.get());
    }
}
