//! Bad days of a cluster of three coordinators. On each of them three things are looked at: what is said names the file or the peer at fault;
//! the others go on serving a client meanwhile; and nothing that was acknowledged is gone in the end.
//!
//! | what happens | where |
//! |---|---|
//! | the disk of a coordinator is full | `sick::a_full_disk` |
//! | a disk takes no writes any more (as a system does that turns it read-only) | `sick::a_disk_that_takes_no_writes` |
//! | a folder cannot be made, or written | `files::a_folder_that_cannot_be_made` |
//! | the end of a journal is damaged, or cut off | `files::a_damaged_end_of_a_journal` |
//! | power is lost while pages are written | `sick::a_torn_page` |
//! | checkpoints are damaged | `files::a_damaged_checkpoint` |
//! | a clock jumps by an hour | `sick::a_clock_that_jumps_by_an_hour` |
//! | two nodes have one name | `peers::two_nodes_with_one_name`, `peers::two_coordinators_with_one_name` |
//! | a node has a certificate of another cluster | `peers::a_certificate_of_another_cluster` |
//! | a coordinator starts on the disk of another one | `files::the_journal_of_another_node` |
//! | a coordinator starts on an old image of its disk | `files::an_old_image_of_a_disk` |
//!
//! `files` is on a real disk; `sick` is simulated, where disks and clocks can be told to fail; `peers` is both. Pages that are torn one by one
//! are in the journal's own tests.
#![allow(missing_docs, reason = "a test")]

#[cfg(not(madsim))]
mod files;
mod peers;
#[cfg(madsim)]
mod sick;
mod stage;
