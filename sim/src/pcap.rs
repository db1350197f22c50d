//! Captured datagrams in the form that packet analysers read: pcapng (draft-ietf-opsawg-pcapng) with IP and UDP headers made up around
//! them, virtual times, and what became of each as a comment; and TLS secrets in the NSS key log format.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Packets are IP packets, of whichever version (LINKTYPE_RAW).
const LINK_RAW: u16 = 101;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const COMMENT: u16 = 1;
const TIME_RESOLUTION: u16 = 9;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// The longest datagram that a UDP header can say the length of.
const DATAGRAM_MAX: usize = 65_535 - 8 - 20;

/// A datagram as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Time since the start; the analyser shows it as time since 1970.
    pub at: Duration,
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// Its ECN mark.
    pub ecn: u8,
    /// What it carries.
    pub bytes: &'a [u8],
    /// What is to be said of it.
    pub comment: &'a str,
}

/// Writes a capture.
#[derive(Debug)]
pub struct Pcap<W> {
    out: W,
    packets: u64,
}

impl<W: Write> Pcap<W> {
    /// A capture without packets so far.
    ///
    /// # Errors
    /// When `out` cannot be written to; so with the others.
    pub fn new(mut out: W) -> io::Result<Pcap<W>> {
        let mut section = BYTE_ORDER.to_le_bytes().to_vec();
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        // The section's length is not known.
        section.extend(u64::MAX.to_le_bytes());
        block(&mut out, SECTION_HEADER, &section)?;
        let mut interface = LINK_RAW.to_le_bytes().to_vec();
        interface.extend([0; 6]);
        // Nanoseconds.
        option(&mut interface, TIME_RESOLUTION, &[9]);
        option(&mut interface, 0, &[]);
        block(&mut out, INTERFACE, &interface)?;
        Ok(Pcap { out, packets: 0 })
    }

    /// Adds a datagram.
    ///
    /// # Errors
    /// Also when no header can be made for it: it is too long, or its addresses are of two families.
    pub fn add(&mut self, datagram: &Datagram<'_>) -> io::Result<()> {
        let packet = packet(datagram)?;
        let at = u64::try_from(datagram.at.as_nanos()).unwrap_or(u64::MAX);
        let length = packet.len() as u32;
        let mut body = Vec::with_capacity(packet.len() + 64);
        body.extend(0u32.to_le_bytes());
        body.extend(((at >> 32) as u32).to_le_bytes());
        body.extend((at as u32).to_le_bytes());
        body.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
        padded(&mut body, &packet);
        if !datagram.comment.is_empty() {
            option(&mut body, COMMENT, datagram.comment.as_bytes());
            option(&mut body, 0, &[]);
        }
        self.packets += 1;
        block(&mut self.out, PACKET, &body)
    }

    /// Ends it: how many packets there are.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.packets)
    }
}

/// A line of a key log.
pub fn key_line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{label} {} {}", hex(client_random), hex(secret))
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = (body.len() + 12) as u32;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(body)?;
    out.write_all(&length.to_le_bytes())
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

/// To a multiple of four bytes, as all parts of a block.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// IP, UDP and the datagram.
fn packet(datagram: &Datagram<'_>) -> io::Result<Vec<u8>> {
    let Datagram { from, to, ecn, bytes, .. } = *datagram;
    if bytes.len() > DATAGRAM_MAX {
        return Err(io::Error::other(format!("a datagram of {} bytes is too long for UDP", bytes.len())));
    }
    let mut udp = Vec::with_capacity(bytes.len() + 8);
    for part in [from.port(), to.port(), bytes.len() as u16 + 8, 0] {
        udp.extend(part.to_be_bytes());
    }
    udp.extend(bytes);
    let length = udp.len() as u16;
    let mut packet = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, ecn & 3];
            header.extend((length + 20).to_be_bytes());
            header.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = vec![0x60, (ecn & 3) << 4, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([UDP, HOPS]);
            header.extend(from.octets());
            header.extend(to.octets());
            // With IPv6 the sum may not be left out: over both addresses, the length, the protocol and the datagram.
            let pseudo = [&header[8..40], &u32::from(length).to_be_bytes(), &[0, 0, 0, UDP], &udp].concat();
            udp[6..8].copy_from_slice(&Some(checksum(&pseudo)).filter(|sum| *sum != 0).unwrap_or(0xffff).to_be_bytes());
            header
        }
        _ => return Err(io::Error::other(format!("{from} and {to} are addresses of two families"))),
    };
    packet.extend(udp);
    Ok(packet)
}

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(from: &str, to: &str, comment: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut pcap = Pcap::new(&mut out).unwrap();
        let at = Duration::from_nanos(0x1_0000_0002);
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        pcap.add(&Datagram { at, from, to, ecn: 2, bytes: b"hello", comment }).unwrap();
        assert_eq!(pcap.finish().unwrap(), 1);
        out
    }

    /// Reads the blocks as the format's description says, and checks both lengths of each.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let length = number(&bytes[4..]) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(number(&bytes[length - 4..]) as usize, length);
            blocks.push((number(bytes), bytes[8..length - 4].to_vec()));
            bytes = &bytes[length..];
        }
        blocks
    }

    #[test]
    fn a_datagram_becomes_an_ip_packet_with_its_time() {
        let blocks = blocks(&capture("10.0.0.1:4433", "10.0.0.2:99", "lost"));
        assert_eq!(blocks.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [SECTION_HEADER, INTERFACE, PACKET]);
        let packet = &blocks[2].1;
        assert_eq!(packet[4..12], [1, 0, 0, 0, 2, 0, 0, 0], "the upper half of the time comes first");
        let ip = &packet[20..20 + 33];
        assert_eq!(ip[..4], [0x45, 2, 0, 33]);
        assert_eq!(checksum(&ip[..20]), 0, "a right header sums to zero");
        assert_eq!(ip[12..20], [10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(ip[20..28], [0x11, 0x51, 0, 99, 0, 13, 0, 0]);
        assert_eq!(&ip[28..], b"hello");
        assert!(packet.windows(4).any(|window| window == b"lost"));
    }

    #[test]
    fn ipv6_has_a_checksum() {
        let blocks = blocks(&capture("[::1]:4433", "[::2]:99", ""));
        let packet = &blocks[2].1;
        let ip = &packet[20..20 + 53];
        let pseudo = [&ip[8..40], &[0, 0, 0, 13], &[0, 0, 0, UDP], &ip[40..]].concat();
        assert_eq!((ip[0], checksum(&pseudo)), (0x60, 0));
    }

    #[test]
    fn what_has_no_header_is_refused() {
        let mut pcap = Pcap::new(Vec::new()).unwrap();
        let (v4, v6) = ("1.2.3.4:5".parse().unwrap(), "[::1]:5".parse().unwrap());
        let datagram = Datagram { at: Duration::ZERO, from: v4, to: v6, ecn: 0, bytes: b"", comment: "" };
        assert!(pcap.add(&datagram).is_err());
        let long = vec![0; DATAGRAM_MAX + 1];
        assert!(pcap.add(&Datagram { to: v4, bytes: &long, ..datagram }).is_err());
        assert!(pcap.add(&Datagram { to: v4, bytes: &long[1..], ..datagram }).is_ok());
    }

    #[test]
    fn a_secret_is_a_line() {
        assert_eq!(key_line("CLIENT_TRAFFIC_SECRET_0", &[1, 0xab], &[0]), "CLIENT_TRAFFIC_SECRET_0 01ab 00");
    }
}
