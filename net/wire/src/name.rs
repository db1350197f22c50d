//! Names of nodes and actors, and the number that tells two lives of one node apart.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::NAME_MAX;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than [`NAME_MAX`] bytes.
    #[error("a name of {0} bytes is longer than {NAME_MAX}")]
    Long(usize),
    /// A character that may not stand there.
    #[error("{0:?} may not stand in the name {1:?}")]
    Character(char, String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes a name of it.
            ///
            /// # Errors
            /// When the text is empty, too long, or has a character that may not stand in a name.
            pub fn new(text: &str) -> Result<Self, BadName> {
                if text.is_empty() {
                    return Err(BadName::Empty);
                }
                if text.len() > NAME_MAX {
                    return Err(BadName::Long(text.len()));
                }
                let allowed: fn(char) -> bool = $allowed;
                match text.chars().find(|c| !allowed(*c)) {
                    Some(c) => Err(BadName::Character(c, text.to_string())),
                    None => Ok(Self(text.into())),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl core::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a node: what its certificate proves. Lower-case letters, digits, `-` and `.`, so that it can stand as
    /// a DNS name in a certificate.
    NodeName,
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'
);

name!(
    /// The name of an actor on its node. Letters, digits and `- _ . / :`.
    ActorName,
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':')
);

/// Tells two lives of one node apart: larger is later. A node draws it from its wall clock when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn names_are_checked_when_made_and_when_decoded() {
        assert!(NodeName::new("worker-1.eu").is_ok());
        assert_eq!(NodeName::new(""), Err(BadName::Empty));
        assert!(matches!(NodeName::new("Worker"), Err(BadName::Character('W', _))));
        assert!(matches!(ActorName::new(&"a".repeat(NAME_MAX + 1)), Err(BadName::Long(_))));
        assert!(ActorName::new("shard/words/3").is_ok());
        let bytes = crate::encode(&"no spaces").unwrap();
        assert!(crate::decode::<ActorName>(&bytes).is_err());
        let name = ActorName::new("a/b").unwrap();
        assert_eq!(crate::decode::<ActorName>(&crate::encode(&name).unwrap()).unwrap(), name);
        assert_eq!(format!("{name}"), "a/b");
    }
}
