//! The system's source of randomness → keys and names that cannot be guessed.

use std::fs;
use std::io::Read;

use anyhow::{Context, Result};

/// 256 random bits.
pub(crate) fn key() -> Result<[u8; 32]> {
    let mut random = [0; 32];
    fill(&mut random)?;
    Ok(random)
}

/// So many random bytes, as hex digits.
pub(crate) fn hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn fill(random: &mut [u8]) -> Result<()> {
    let mut source = fs::File::open("/dev/urandom").context("no source of randomness")?;
    Ok(source.read_exact(random)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(key().unwrap(), key().unwrap());
        let name = hex(16).unwrap();
        assert_eq!(name.len(), 32);
        assert_ne!(name, hex(16).unwrap());
    }
}
