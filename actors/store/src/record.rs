//! A checkpoint as bytes. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 2 | [`FORMAT`] |
//! | 2 | the key's length |
//! | 8 | fence |
//! | 8 | version |
//! | 8 | the value's length |
//! | … | the key |
//! | … | the value |
//! | 4 | CRC-32 of everything before |

use crate::error::Reason;
use crate::key::Key;
use crate::limits::{KEY_MAX, VALUE_MAX};

/// The first bytes of every checkpoint.
pub const MAGIC: [u8; 8] = *b"PLAYCKPT";

/// The version of this layout. A build reads its own version only and says so of others.
pub const FORMAT: u16 = 1;

const HEADER: usize = 8 + 2 + 2 + 8 + 8 + 8;
const CRC: usize = 4;

/// The longest checkpoint, in bytes.
pub const RECORD_MAX: usize = HEADER + KEY_MAX + VALUE_MAX + CRC;

/// What a checkpoint says, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose checkpoint it is.
    pub key: &'a str,
    /// The fence of the owner who saved it.
    pub fence: u64,
    /// Counts the saves of the key.
    pub version: u64,
    /// The state.
    pub value: &'a [u8],
}

/// The record as bytes. The caller has checked the value's length.
pub fn encode(key: &Key, fence: u64, version: u64, value: &[u8]) -> Vec<u8> {
    assert!(value.len() <= VALUE_MAX, "a value of {} bytes was let through", value.len());
    let key = key.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(HEADER + key.len() + value.len() + CRC);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&fence.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Reads a record, which must take all of `bytes`.
///
/// # Errors
/// Why the bytes are not a whole, undamaged record of this layout.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Reason> {
    let short = || Reason::Short { bytes: bytes.len() };
    let mut rest = bytes;
    let magic: [u8; 8] = take(&mut rest).ok_or_else(short)?;
    if magic != MAGIC {
        return Err(Reason::Magic);
    }
    let format = u16::from_le_bytes(take(&mut rest).ok_or_else(short)?);
    if format != FORMAT {
        return Err(Reason::Format(format));
    }
    let key_length = u16::from_le_bytes(take(&mut rest).ok_or_else(short)?) as usize;
    let fence = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
    let version = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
    let value_length = u64::from_le_bytes(take(&mut rest).ok_or_else(short)?);
    // Compared as u128: a hostile length must not wrap around.
    let wanted = HEADER as u128 + key_length as u128 + u128::from(value_length) + CRC as u128;
    if wanted != bytes.len() as u128 {
        return Err(Reason::Length { wanted, bytes: bytes.len() });
    }
    let (content, crc) = bytes.split_at(bytes.len() - CRC);
    if crc != crc32fast::hash(content).to_le_bytes() {
        return Err(Reason::Checksum);
    }
    let (key, value) = content[HEADER..].split_at(key_length);
    // What the checksum covers was written by us, unless by someone who can compute it too.
    let key = std::str::from_utf8(key).map_err(|_| Reason::Foreign("its key is not text".to_string()))?;
    Ok(Record { key, fence, version, value })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_pinned() {
        // N and N+1 must read each other: a change here needs a new FORMAT.
        let bytes = encode(&Key::new("k").unwrap(), 2, 3, b"v");
        assert_eq!(bytes[..12], *b"PLAYCKPT\x01\0\x01\0");
        assert_eq!(bytes[12..36], [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[36..38], *b"kv");
        assert_eq!(bytes.len(), 42);
    }

    #[test]
    fn every_truncation_and_every_addition_is_detected() {
        let mut bytes = encode(&Key::new("shard/3").unwrap(), 7, 9, b"some state");
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes were taken for a record");
        }
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(Reason::Length { .. })));
    }

    #[test]
    fn another_format_is_named() {
        let mut bytes = encode(&Key::new("k").unwrap(), 1, 1, b"");
        bytes[8] = 2;
        assert_eq!(decode(&bytes), Err(Reason::Format(2)));
    }

    proptest! {
        #[test]
        fn records_round_trip(key in "[a-z]{1,9}(/[A-Z0-9_-]{1,9})?", fence: u64, version: u64, value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = encode(&Key::new(&key).unwrap(), fence, version, &value);
            prop_assert_eq!(decode(&bytes), Ok(Record { key: &key, fence, version, value: &value }));
        }

        #[test]
        fn any_flipped_byte_is_detected(value in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, by in 1u8..) {
            let mut bytes = encode(&Key::new("a/b").unwrap(), 5, 6, &value);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), honest: bool) {
            let bytes = if honest { [&MAGIC[..], &FORMAT.to_le_bytes(), &bytes].concat() } else { bytes };
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
