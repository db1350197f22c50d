//! The supervisor's decisions: told as stories, and any events against its promises.

mod promises;
mod stories;
mod story;
