//! One actor: a question and its answer, a message one way, and a clean end.
//!
//! Run it: `cargo run -p playhouse --example hello`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

use playhouse::prelude::*;

#[derive(Default)]
struct Greeter(u64);

#[actor]
impl Greeter {
    /// What `#[actor]` makes of it: the message `GreeterGreet { name }`, and `greet`, `tell_greet`, `send_greet` on each `Ref<Greeter>`.
    #[message]
    fn greet(&mut self, name: String) -> String {
        self.0 += 1;
        format!("Hello, {name}. You are guest number {}.", self.0)
    }

    #[message]
    fn guests(&self) -> u64 {
        self.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    rt::run(1, async {
        let system = System::new(NodeName::new("here")?, 1)?;
        let greeter = system.spawn(Greeter::default);
        println!("{}", greeter.greet("Ada".into()).await?);
        println!("{}", greeter.greet("Grace".into()).within(Duration::from_secs(1)).await?);
        greeter.tell_greet("Nobody".into())?;
        let guests = greeter.guests().await?;
        system.stop(Duration::from_secs(1)).await;
        println!("hello: {guests} guests were greeted");
        Ok(())
    })?
}
