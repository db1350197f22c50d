//! What is refused, where, and with which words.

use proc_macro2::TokenStream;
use syn::Error;

use crate::expand::try_actor;
use crate::method::OF_REFERENCES;

/// The errors of `#[actor(keys)] block`: the line of each (from 1 on) and its text.
fn errors(keys: &str, block: &str) -> Vec<(usize, String)> {
    let tokens = |text: &str| text.parse::<TokenStream>().expect("tokens");
    let error = match try_actor(tokens(keys), tokens(block)) {
        Ok(written) => panic!("nothing is wrong with\n{block}\nwhich gives\n{written}"),
        Err(error) => error,
    };
    error.into_iter().map(|error: Error| (error.span().start().line, error.to_string())).collect()
}

/// Refuses exactly this, once, on this line.
fn refuses(keys: &str, block: &str, line: usize, says: &str) {
    let errors = errors(keys, block);
    assert!(
        matches!(&errors[..], [(at, text)] if *at == line && text.contains(says)),
        "{block}\ngives {errors:#?}\nnot {line}: {says}"
    );
}

/// A method in a block, on the third line: the second is for its attributes.
fn refuses_method(attribute: &str, method: &str, line: usize, says: &str) {
    refuses("", &format!("impl Counter {{\n{attribute}\n{method}\n}}"), line, says);
}

#[test]
fn numbers_are_told_apart() {
    let block = "impl Counter {\n#[message(id = 1)] fn add(&self) {}\n#[message(id = 7)] fn get(&self) {}\n#[message(\nid = 1)] fn put(&self) {}\n}";
    for keys in ["", "remote"] {
        refuses(keys, block, 5, "message 1 (version 1) is `add` already; take another number: 8 is free");
    }
    let versions = block.replace("\nid = 1", "id = 1, version = 2");
    assert!(try_actor(TokenStream::new(), versions.parse().unwrap()).is_ok(), "another version is another message");
}

#[test]
fn a_remote_actor_numbers_all_and_each_is_told_its_own() {
    let block = "impl Counter {\n#[message] fn add(&self) {}\n#[message(id = 4)] fn get(&self) {}\n#[message(version = 2)] fn put(&self) {}\n}";
    let errors = errors("remote", block);
    assert_eq!(errors.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
    assert!(errors[0].1.contains("#[message(id = 5)]") && errors[1].1.contains("#[message(id = 6)]"), "{errors:?}");
    assert!(try_actor(TokenStream::new(), block.parse().unwrap()).is_ok(), "here nobody needs a number");
}

#[test]
fn async_methods_have_the_actor_for_themselves_or_a_reference_to_it() {
    refuses_method("#[message]", "async fn later(ctx: &mut Ctx<Self>) {}", 3, "take `&mut self, ctx: &mut Ctx<Self>`");
    refuses_method("#[message]", "async fn later(by: u8, me: &Ref<Self>) {}", 3, "passed as the first parameter");
    refuses_method("#[message]", "async fn later(&mut self, me: &Ref<Self>) {}", 3, "`ctx.me()`");
    refuses_method("#[message]", "async fn later() -> Later<u8> {}", 3, "return the answer itself");
    refuses_method("#[message]", "async fn later(&mut self) -> Streamed<u8> {}", 3, "take the `async` away");
    refuses_method("#[stopped]", "async fn end(&mut self) {}", 3, "nobody waits for an actor that ends");
    let both = "impl Counter {\n#[message] async fn a(&mut self, by: u8) {}\n#[message] async fn b(me: &Ref<Self>) {}\n}";
    let written = try_actor(TokenStream::new(), both.parse().unwrap()).unwrap().to_string();
    assert!(written.contains("Exclusive :: new") && written.contains("Later :: new"), "{written}");
}

#[test]
fn a_message_is_one_type_that_owns_what_it_carries() {
    refuses("", "impl<T>\nCache<T> {}", 1, "one block for each concrete type");
    refuses("", "impl Cache\nwhere u8: Copy {}", 2, "one block for each concrete type");
    refuses("", "impl dyn Cache {}", 1, "a struct or an enum");
    let cases = [
        ("fn put<T>(&self, item: T) {}", "cannot be generic"),
        ("fn put(&self) where u8: Copy {}", "write the types out"),
        ("fn put(&self, text: &str) {}", "write `String`"),
        ("fn put(&self, text: impl Into<String>) {}", "write the type out"),
        ("fn put(&self, (a, b): (u8, u8)) {}", "give this parameter one"),
        ("fn put(&self, _: u8) {}", "give this parameter one"),
        ("fn put(&self, by: u8, ctx: &mut Ctx<Self>) {}", "the first parameter after `self`"),
        ("fn put(&self, me: &Ref<Self>) {}", "`ctx.me()`"),
        ("fn put(self) {}", "take `&mut self` or `&self`"),
        ("fn put(by: u8) {}", "take `&mut self` or `&self`"),
        ("unsafe fn put(&self) {}", "make the method safe"),
        ("fn put(&self) -> &str {}", "return an owned value"),
        ("fn put(&self) -> impl Future {}", "return `Later<T>`"),
        ("fn put(&self) -> ResponseFuture<u8> {}", "return `Later<T>`"),
        ("fn put(&self) -> Streaming<u8> {}", "return `Streamed<T>`"),
        ("fn put(&self) -> Streamed {}", "`Streamed<T>`"),
    ];
    for (method, says) in cases {
        refuses_method("#[message]", method, 3, says);
    }
}

#[test]
fn a_stream_is_only_asked_for() {
    let block = "impl Counter {\n#[message] fn tail(&self) -> Streamed<u8> {}\n#[message] fn add(&self) {}\n}";
    let written = try_actor(TokenStream::new(), block.parse().unwrap()).unwrap().to_string();
    for (call, is_there) in [("tail", true), ("tell_tail", false), ("send_tail", false), ("tell_add", true), ("send_add", true)] {
        assert_eq!(written.contains(&format!("fn {call} (")), is_there, "{call}");
    }
}

#[test]
fn keys_are_known_and_have_values() {
    let block = "impl Counter {\n#[message] fn add(&self) {}\n}";
    for (keys, says) in [
        ("remot", "the keys are `remote`"),
        ("remote, remote", "`remote` stands here twice"),
        ("reference", "`reference = CounterRef`"),
        ("reference = \"CounterRef\"", "without quotes"),
        ("crate", "`crate = playhouse`"),
    ] {
        refuses(keys, block, 1, says);
    }
    for (attribute, says) in [
        ("#[message(1)]", "write `#[message]` or `#[message(id = 1)]`"),
        ("#[message = 1]", "write `#[message]` or `#[message(id = 1)]`"),
        ("#[message(id)]", "`id = 1`"),
        ("#[message(id = \"1\")]", "`id = 1`"),
        ("#[message(id = -1)]", "`id = 1`"),
        ("#[message(id = 4294967296)]", "at most 4294967295"),
        ("#[message(id = 1, version = 65536)]", "at most 65535"),
        ("#[message(id = 1, id = 2)]", "`id` stands here twice"),
        ("#[message(lane = Fast)]", "it is one of System, Control, Data, Bulk"),
        ("#[message(priority = Urgent)]", "it is one of Low, Normal, High"),
        ("#[message(priority)]", "`priority = High`"),
        ("#[message(unreliable, unreliable)]", "`unreliable` stands here twice"),
        ("#[message(ident = 1)]", "the keys are `id = 1`"),
        ("#[message] #[started]", "not two things"),
        ("#[started(1)]", "write `#[started]`"),
    ] {
        refuses_method(attribute, "fn add(&mut self) {}", 2, says);
    }
}

#[test]
fn what_may_be_lost_is_told_one_way() {
    refuses_method("#[message(unreliable)]", "fn all(&self) -> Streamed<u8> {}", 2, "take `unreliable` away");
    let block = "impl Counter {\n#[message(id = 1, unreliable)] fn beat(&self) {}\n#[message(id = 2)] fn add(&self) {}\n}";
    let written = try_actor("remote".parse().unwrap(), block.parse().unwrap()).unwrap().to_string();
    assert!(
        written.contains("unreliable_on :: < CounterBeat >") && written.contains("message_on :: < CounterAdd >"),
        "{written}"
    );
}

#[test]
fn names_are_free() {
    refuses_method("#[message]", "fn stop(&self) {}", 3, "every reference has a `stop` of its own");
    refuses_method("#[message]", "fn when_ready(&self) {}", 3, "a `tell_when_ready` of its own");
    let two = |first: &str, second: &str| format!("impl Counter {{\n#[message] {first}\n#[message] {second}\n}}");
    refuses("", &two("fn a_b(&self) {}", "fn aB(&self) {}"), 3, "`a_b` makes a message `CounterAB` too");
    refuses("", &two("fn add(&self) {}", "fn tell_add(&self) {}"), 3, "rename `tell_add`");
    refuses("", &two("fn send_add(&self) {}", "fn add(&self) {}"), 3, "rename `add`");
    refuses("", &two("pub fn add(&self) {}", "fn get(&self) {}"), 3, "as visible as `add`");
}

#[test]
fn the_steps_of_a_life_have_their_form() {
    refuses_method("", "fn started(&mut self, ctx: &mut Ctx<Self>) {}", 3, "write `#[started]` above it");
    refuses_method("#[started]", "fn begin(&mut self, by: u8) {}", 3, "write `fn begin(&mut self)`");
    refuses_method("#[started]", "fn begin() {}", 3, "write `fn begin(&mut self)`");
    refuses_method("#[stopped]", "fn end(&mut self) -> u8 {}", 3, "return nothing");
    refuses_method("#[stopped]", "fn end(&mut self) -> Result<(), String> {}", 3, "return nothing");
    refuses_method("#[started]", "fn begin(&mut self) -> u8 {}", 3, "or a `Result<(), E>`");
    refuses_method("#[stopping]", "fn end(&mut self) {}", 3, "`-> Running`");
    refuses("", "impl Counter {\n#[started] fn a(&self) {}\n#[started] fn b(&self) {}\n}", 3, "call this one from there");
    refuses("no_actor_impl", "impl Counter {\n#[started] fn a(&self) {}\n}", 2, "call it in your `impl Actor`");
}

#[test]
fn it_stands_on_an_actors_own_block() {
    refuses("", "struct Counter;", 1, "`#[actor] impl Counter { .. }`");
    refuses("", "impl Default for Counter {}", 1, "not on a trait's");
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_the_block_stays() {
    let block = "impl Counter {\n#[message(x)] fn a(&self) {}\n#[message] async fn b(ctx: &Ctx<Self>) {}\nfn c() {}\n}";
    assert_eq!(errors("y", block).len(), 3);
    let written = crate::expand::actor(TokenStream::new(), block.parse().unwrap()).to_string();
    assert!(written.contains("fn a") && written.contains("fn c") && !written.contains("# [message"), "{written}");
    assert_eq!(written.matches("compile_error").count(), 2);
}

#[test]
fn what_lacks_only_a_number_is_written_all_the_same() {
    let block = "impl Counter {\n#[message] fn add(&self) {}\n#[message(id = 1)] fn get(&self) {}\n}";
    let written = crate::expand::actor("remote".parse().unwrap(), block.parse().unwrap()).to_string();
    assert_eq!(written.matches("compile_error").count(), 1, "{written}");
    for part in ["Actor for Counter", "Remote for Counter", "struct CounterAdd", "struct CounterGet", "fn tell_add"] {
        assert!(written.contains(part), "{part} is missing in {written}");
    }
    let twice = "impl Counter {\n#[message] fn a_b(&self) {}\n#[message] fn aB(&self) {}\n}";
    let written = crate::expand::actor(TokenStream::new(), twice.parse().unwrap()).to_string();
    assert!(written.contains("compile_error") && !written.contains("CounterRef"), "{written}");
}

/// A method that `Ref` gains later must become a name that messages cannot have.
#[test]
fn the_names_that_references_have_are_known() {
    let source = concat!(include_str!("../../core/src/reference.rs"), include_str!("../../core/src/reference/patient.rs"));
    let public = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub fn ").or(line.trim_start().strip_prefix("pub async fn ")));
    let names: Vec<_> = public.map(|rest| rest.split(['(', '<']).next().unwrap_or(rest)).collect();
    assert!(names.contains(&"ask") && names.contains(&"ended"), "{names:?}");
    for name in names {
        assert!(OF_REFERENCES.contains(&name), "`{name}` is missing in OF_REFERENCES (actors/macros/src/method.rs)");
    }
}
