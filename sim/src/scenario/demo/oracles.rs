//! What is promised of the demo's job: a file for each promise, with what looks for a breach of it in what the client saw.

pub(super) mod accepted;
pub(super) mod heals;
pub(super) mod once;
pub(super) mod result;
pub(super) mod windows;
