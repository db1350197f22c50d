//! The checker of histories, held against right and wrong ones.
#![allow(missing_docs)]

mod drawn;
mod hand;
