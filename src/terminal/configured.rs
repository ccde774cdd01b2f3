//! The flag that names the config file.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The config file
    #[arg(long, short, value_name = "FILE", default_value = "kestrel.toml")]
    pub(crate) config: PathBuf,
}
