//! The storm watch's state, as the ledger keeps it → shared between the task that counts and the one that posts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::sync::Notify;

use super::notices::Notices;
use crate::store::Ledger;
use kestrel_core::evidence::storm_thresholds::Thresholds;
use kestrel_core::storm::StormWatch;

/// The storm watch's state, shared with the outbox.
#[derive(Debug, Clone)]
pub(crate) struct SharedWatch {
    watch: Arc<Mutex<StormWatch>>,
    /// Signals a pending alert.
    pub(crate) due: Arc<Notify>,
    /// Notices that are not in the ledger.
    pub(crate) notices: Notices,
}

impl SharedWatch {
    /// The state in the ledger, under the current thresholds.
    pub(crate) fn restore(ledger: &Ledger, thresholds: Thresholds) -> Result<Self> {
        let newest = ledger.storms(1)?.first().map_or(0, |known| known.event.storm);
        let kept = ledger.watch()?.map(|text| serde_json::from_str::<StormWatch>(&text));
        let watch = match kept {
            Some(Ok(watch)) => watch.tuned(thresholds),
            Some(Err(error)) => {
                tracing::warn!(
                    "the storm watch's state was saved by another version; counting starts from zero: {error}"
                );
                StormWatch::new(thresholds)
            }
            None => StormWatch::new(thresholds),
        };
        let watch = Arc::new(Mutex::new(watch.numbered_after(newest)));
        Ok(Self { watch, due: Arc::new(Notify::new()), notices: Notices::default() })
    }

    /// Resets the state to the one in the ledger, for a task that reads the logs from the saved positions.
    pub(crate) fn restore_again(&self, ledger: &Ledger, thresholds: Thresholds) -> Result<()> {
        let kept = Self::restore(ledger, thresholds)?;
        let watch = kept.lock().clone();
        *self.lock() = watch;
        Ok(())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, StormWatch> {
        // A panic elsewhere while it was locked leaves at worst one log event uncounted.
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
