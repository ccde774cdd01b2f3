//! demo
use crate::lab::LabOptions;
pub async fn play(_options: LabOptions, _once: bool) -> anyhow::Result<()> {
    todo!()
}
