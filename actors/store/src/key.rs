//! Names of checkpoints, and the folders that they become.

use std::fmt;
use std::sync::Arc;

use crate::limits::KEY_MAX;

/// The name of a checkpoint: letters, digits, `-`, `_` and `.`, in segments divided by `/`.
///
/// ```
/// use playhouse_store::Key;
/// assert!(Key::new("shard/words/3").is_ok());
/// assert!(Key::new("../secrets").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The text is empty.
    #[error("a key must not be empty")]
    Empty,
    /// The text is longer than [`KEY_MAX`] bytes.
    #[error("a key of {0} bytes is longer than {KEY_MAX}; shorten it, or use a hash of it")]
    Long(usize),
    /// A character that may not stand in a key.
    #[error("{0:?} may not stand in the key {1:?}; use letters, digits, '-', '_', '.' and '/'")]
    Character(char, String),
    /// A segment that is empty, `.` or `..`: on a disk it would lead elsewhere.
    #[error("the segment {0:?} may not stand in the key {1:?}; leave it out")]
    Segment(String, String),
}

impl Key {
    /// Checks `text` and makes a key of it.
    ///
    /// # Errors
    /// When the text is empty, too long, has another character, or a segment that is empty, `.` or `..`.
    pub fn new(text: &str) -> Result<Key, BadKey> {
        if text.is_empty() {
            return Err(BadKey::Empty);
        }
        if text.len() > KEY_MAX {
            return Err(BadKey::Long(text.len()));
        }
        if let Some(c) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))) {
            return Err(BadKey::Character(c, text.to_string()));
        }
        if let Some(segment) = text.split('/').find(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(BadKey::Segment(segment.to_string(), text.to_string()));
        }
        Ok(Key(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the key's folder. One level, so that no key lies within another's folder. Capitals are marked, so that two keys
    /// stay apart on a file system that does not tell `a` from `A`. `,` and `+` stand in no key, so no two keys share a name.
    pub(crate) fn folder(&self) -> String {
        let mut name = String::with_capacity(self.0.len() * 2);
        for c in self.0.chars() {
            match c {
                '/' => name.push(','),
                c if c.is_ascii_uppercase() => name.extend(['+', c.to_ascii_lowercase()]),
                c => name.push(c),
            }
        }
        name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Key, BadKey> {
        Key::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_that_try_to_escape_are_refused() {
        for text in ["..", ".", "a/..", "../a", "a/../b", "/etc", "a//b", "a/", "a/./b"] {
            assert!(matches!(Key::new(text), Err(BadKey::Segment(..))), "{text}");
        }
        for text in ["a\\b", "c:", "a b", "a\0b", "a\nb", "%2e%2e", "ä", "a+b", "a,b", "~"] {
            assert!(matches!(Key::new(text), Err(BadKey::Character(..))), "{text}");
        }
        assert_eq!(Key::new(""), Err(BadKey::Empty));
        assert_eq!(Key::new(&"a".repeat(KEY_MAX + 1)), Err(BadKey::Long(KEY_MAX + 1)));
        assert!(Key::new(&"A".repeat(KEY_MAX)).is_ok());
        assert!(Key::new("...").is_ok(), "three dots are a name like any other");
    }

    proptest! {
        #[test]
        fn a_folder_is_one_plain_name_that_no_other_key_has(a in "[a-cA-C./]{1,6}", b in "[a-cA-C./]{1,6}") {
            let (Ok(a), Ok(b)) = (Key::new(&a), Key::new(&b)) else { return Ok(()) };
            let folder = a.folder();
            prop_assert!(!folder.contains('/') && folder != "." && folder != "..");
            // Compared without case, as some file systems do.
            prop_assert_eq!(folder.to_lowercase() == b.folder().to_lowercase(), a == b);
        }
    }
}
