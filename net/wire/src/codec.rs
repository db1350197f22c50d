//! postcard, with our errors and our limits around it.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::PAYLOAD_MAX;

/// A value could not be written as bytes. The value is at fault: nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The type refuses to be serialised (its own `Serialize` said so, or it has a shape that postcard lacks).
    #[error("the value cannot be serialised: {0}")]
    Refused(postcard::Error),
    /// The bytes are longer than a payload may be.
    #[error("the value takes {0} bytes, more than {PAYLOAD_MAX}")]
    Long(usize),
}

/// Bytes are not a value of the type. The sender is at fault, or its version differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end early or hold what the type does not allow.
    #[error("the bytes are not a {type_name}: {error}")]
    Malformed {
        /// The type that was wanted.
        type_name: &'static str,
        /// What postcard says.
        error: postcard::Error,
    },
    /// Bytes are left over behind the value.
    #[error("{left} bytes are left over behind a {type_name}")]
    Trailing {
        /// The type that was wanted.
        type_name: &'static str,
        /// How many.
        left: usize,
    },
}

/// The room that an encoded value gets to begin with, in bytes.
const SMALL: usize = 96;

/// Writes `value` as bytes.
///
/// # Errors
/// When the value refuses, or is longer than [`PAYLOAD_MAX`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    encode_into(value, Vec::new())
}

/// As [`encode`], behind what is in `buffer`; it is lost with an error.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(value: &T, mut buffer: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    // Most messages are small; room at once is cheaper than growing to it.
    buffer.reserve(SMALL);
    let bytes = postcard::to_extend(value, buffer).map_err(EncodeError::Refused)?;
    if bytes.len() > PAYLOAD_MAX {
        return Err(EncodeError::Long(bytes.len()));
    }
    Ok(bytes)
}

/// Writes a value of any length as bytes: for disks, and for what is cut into parts. The type must be one of ours, with nothing in it that
/// refuses.
///
/// # Panics
/// When the value refuses to be serialised.
pub fn encode_long<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, Vec::new()).unwrap_or_else(|error| panic!("a value of ours cannot be serialised: {error}"))
}

/// Reads a value of type `T`, which must take all of `bytes`.
///
/// # Errors
/// When the bytes are not such a value, or are longer than it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let type_name = core::any::type_name::<T>();
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(DecodeError::Trailing { type_name, left: rest.len() }),
        Err(error) => Err(DecodeError::Malformed { type_name, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_all_of_its_bytes() {
        let mut bytes = encode(&(7u32, true)).unwrap();
        assert_eq!(decode::<(u32, bool)>(&bytes), Ok((7, true)));
        bytes.push(0);
        assert!(matches!(decode::<(u32, bool)>(&bytes), Err(DecodeError::Trailing { left: 1, .. })));
        assert!(matches!(decode::<(u32, bool)>(&bytes[..1]), Err(DecodeError::Malformed { .. })));
    }
}
