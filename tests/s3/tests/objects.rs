//! What a store promises over any objects, it keeps over those of an S3.

#[path = "../../../actors/store/tests/promises/mod.rs"]
mod promises;

use playhouse_s3_tests::Server;

#[test]
fn objects_keep_what_files_keep() {
    let server = Server::start();
    playhouse_rt::run(2, promises::objects_keep_what_files_keep(server.client())).unwrap();
    let (requests, creates) = server.seen();
    // Checkpoints and claims are made only where nothing is, and the server was told so.
    assert!(creates >= 7 && requests > 50, "{requests} requests, {creates} to create");
}

#[test]
fn one_of_two_owners_remains() {
    let server = Server::start();
    playhouse_rt::run(2, promises::one_of_two_owners_remains(server.client(), server.client())).unwrap();
}

#[test]
fn what_takes_pages_to_list_is_listed() {
    let server = Server::start();
    playhouse_rt::run(2, promises::what_takes_pages_to_list_is_listed(server.client())).unwrap();
}
