//! Makes evidence fit to be posted: client addresses are cut to their network.
//!
//! An address in a log may be the client's own text (a proxy header), so what is no address is dropped.

use core::net::IpAddr;

use super::{Evidence, Fact};

impl Evidence {
    /// Cuts every client address to its network: /24 for IPv4, /48 for IPv6.
    pub fn shorten_addresses(&mut self) {
        for fact in self.gathered.iter_mut().filter_map(|answer| answer.fact.as_mut()) {
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

fn shortened(address: &str) -> String {
    // A shortened address shortens to itself: evidence is saved and replayed.
    if address.ends_with(".x") || address.ends_with("::x") {
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
