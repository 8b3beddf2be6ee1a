//! Which addresses lead into this machine or a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a url's host is, when it is no name. The url's reader has brought every spelling to this one.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host).parse().ok()
}

/// Whether it is anything but an address of the public internet.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => inside(address).map_or_else(|| is_private_v6(address), is_private_v4),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (18..20).contains(&b))
        // Multicast, reserved and broadcast.
        || a >= 224
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        // fc00::/7, fe80::/10 and the old fec0::/10.
        || first & 0xfe00 == 0xfc00
        || first & 0xff80 == 0xfe80
        // Documentation, and what discards.
        || address.segments()[..2] == [0x2001, 0x0db8]
        || address.segments()[..4] == [0x0100, 0, 0, 0]
}

/// The IPv4 address that one of IPv6 stands for: mapped, compatible, translated (NAT64) or 6to4.
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let [first, second, third, ..] = segments;
    let [.., high_end, low_end] = segments;
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments[..6] {
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            v4(high_end, low_end)
        }
        [0, 0, 0, 0, 0, 0] if high_end != 0 => v4(high_end, low_end),
        // The local-use prefix of NAT64 is private whatever it stands for.
        [0x64, 0xff9b, 1, ..] => Some(Ipv4Addr::LOCALHOST),
        _ if first == 0x2002 => v4(second, third),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_home_is_private_however_it_is_written() {
        let private = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:db8::1",
        ];
        for text in private {
            assert!(is_private(text.parse().unwrap()), "{text} is public");
        }
        let public = [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
        ];
        for text in public {
            assert!(!is_private(text.parse().unwrap()), "{text} is private");
        }
    }
}
