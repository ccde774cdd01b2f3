//! Makes evidence fit to be posted: client addresses are cut to their network.
//!
//! An address in a log may be the client's own text (a proxy header), so what is no address is dropped.

use core::net::IpAddr;

use std::collections::HashMap;

use crate::evidence::delay::DelayLog;
use crate::evidence::{Evidence, Fact};

impl Evidence {
    /// Cuts every client address to its network: /24 for IPv4, /48 for IPv6.
    pub fn shorten_addresses(&mut self) {
        let mut names = Names::default();
        for fact in self.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut()) {
            if let Fact::DelayLog(log) = fact {
                names.shorten(log);
            }
            let Fact::KeyLog(log) = fact else { continue };
            let own = log.refused.iter_mut().chain(&mut log.doubtful);
            for group in own.chain(&mut log.named_by_others) {
                group.addresses.iter_mut().for_each(|address| *address = shortened(address));
                group.addresses.dedup();
            }
            for address in
                log.accepted.batches.iter_mut().filter_map(|batch| batch.address.as_mut())
            {
                *address = shortened(address);
            }
        }
    }
}

/// Names for addresses that have to stay apart: requests without a user are told by their address, and
/// two of one network may be two people.
#[derive(Default)]
struct Names {
    names: HashMap<String, String>,
    taken: HashMap<String, usize>,
}

impl Names {
    fn shorten(&mut self, log: &mut DelayLog) {
        let known = log.addresses.iter_mut().map(|known| &mut known.address);
        let handled = log.handled.iter_mut().flat_map(|handled| &mut handled.addresses);
        known.chain(handled).for_each(|address| *address = self.name(address));
    }

    /// `203.0.113.x` for the first of a network, `203.0.113.x #2` for the next.
    fn name(&mut self, address: &str) -> String {
        if let Some(name) = self.names.get(address) {
            return name.clone();
        }
        let short = shortened(address);
        let name = match (short == address, self.taken.get(&short).copied().unwrap_or(0)) {
            (true, _) | (_, 0) => short.clone(),
            (false, before) => format!("{short} #{}", before + 1),
        };
        *self.taken.entry(short).or_default() += 1;
        self.names.insert(address.to_owned(), name.clone());
        name
    }
}

/// An address cut to its network: /24 for IPv4, /48 for IPv6.
pub fn shortened(address: &str) -> String {
    // A shortened address shortens to itself: evidence is saved and replayed.
    let bare = match address.split_once(" #") {
        Some((bare, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => address,
    };
    if bare.ends_with(".x") || bare.ends_with("::x") || bare == "(no address)" {
        return address.to_owned();
    }
    match address.parse() {
        Ok(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.x")
        }
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => shortened(&v4.to_string()),
            None => {
                let [a, b, c, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}::x")
            }
        },
        Err(_) => "(no address)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn addresses_are_cut_to_their_network() {
        for (whole, cut) in [
            ("203.0.113.77", "203.0.113.x"),
            ("2001:db8:1:2::3", "2001:db8:1::x"),
            ("::ffff:203.0.113.77", "203.0.113.x"),
            ("6.6.6.6 - 8008 - {@victim:lab.local}", "(no address)"),
        ] {
            assert_eq!(shortened(whole), cut);
            assert_eq!(shortened(cut), cut);
        }
    }
}
