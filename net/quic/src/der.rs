//! Just enough of DER to read the parts of a certificate that the verifier of TLS does not pass on. It proves nothing.

use std::time::Duration;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// The version of a certificate.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// The extensions of a certificate.
pub(crate) const CONTEXT_3: u8 = 0xa3;

/// One element: what kind it is, all of it, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements within.
    pub(crate) fn inside(self) -> Elements<'a> {
        Elements(self.content)
    }
}

/// Elements in a row. Ends at the first one that is not whole.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl<'a> Elements<'a> {
    /// The next element, if it is of this kind.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        // A length is one byte, or the number of the bytes that hold it; certificates are shorter than 2^32 bytes.
        let (length, header) = match usize::from(*first) {
            short @ 0..=0x7f => (short, 2),
            long @ 0x81..=0x84 => {
                let bytes = rest.get(..long - 0x80)?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + bytes.len())
            }
            _ => return None,
        };
        let whole = self.0.get(..header.checked_add(length)?)?;
        self.0 = &self.0[whole.len()..];
        Some(Element { tag: *tag, whole, content: &whole[header..] })
    }
}

/// A moment of a certificate's validity, as time since the Unix epoch. Moments before the epoch are the epoch.
pub(crate) fn moment(element: Element<'_>) -> Option<Duration> {
    let (year_digits, digits) = match element.tag {
        UTC_TIME => (2, element.content.strip_suffix(b"Z")?),
        GENERALIZED_TIME => (4, element.content.strip_suffix(b"Z")?),
        _ => return None,
    };
    if digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    let (year, rest) = digits.split_at(year_digits);
    // RFC 5280: two digits stand for 1950 to 2049.
    let year = match number(year) {
        short if year_digits == 2 => {
            if short < 50 {
                2000 + short
            } else {
                1900 + short
            }
        }
        year => year,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if year < 1970 {
        return Some(Duration::ZERO);
    }
    let seconds = crate::utc::days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(tag: u8, text: &str) -> Option<Duration> {
        moment(Element { tag, whole: &[], content: text.as_bytes() })
    }

    #[test]
    fn moments_are_read_in_both_forms() {
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(read(UTC_TIME, "200101000000Z"), secs(1_577_836_800));
        assert_eq!(read(GENERALIZED_TIME, "20240229235959Z"), secs(1_709_251_199));
        assert_eq!(read(GENERALIZED_TIME, "21000301000000Z"), secs(4_107_542_400));
        assert_eq!(read(UTC_TIME, "500101000000Z"), secs(0));
        for bad in ["200101000000", "2001010000Z", "201301000000Z", "200100000000Z", "20010100000xZ", ""] {
            assert_eq!(read(UTC_TIME, bad), None, "{bad}");
        }
    }

    #[test]
    fn an_element_that_is_cut_short_is_none() {
        let whole = [SEQUENCE, 0x81, 3, INTEGER, 1, 7];
        let element = Elements(&whole).next().unwrap();
        assert_eq!((element.tag, element.inside().expect(INTEGER).unwrap().content), (SEQUENCE, &[7][..]));
        for end in 0..whole.len() {
            assert_eq!(Elements(&whole[..end]).next(), None, "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read: usize = Elements(&bytes).map(|element| element.whole.len()).sum();
            prop_assert!(read <= bytes.len());
        }
    }
}
