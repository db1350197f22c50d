//! What is promised of actors: a file for each promise, with what looks for a breach of it, as it happens or when all is quiet.

pub(super) mod account;
pub(super) mod answered;
pub(super) mod bounded;
pub(super) mod heals;
pub(super) mod intensity;
pub(super) mod linked;
pub(super) mod notice;
pub(super) mod once;
pub(super) mod one_life;
pub(super) mod order;
pub(super) mod orderly;
pub(super) mod urgent;
