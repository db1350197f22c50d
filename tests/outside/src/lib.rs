//! A bank whose customers are on other nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use playhouse::prelude::*;
use playhouse::rt;

/// An account. Each deposit has a number, so that a customer who got no answer may send it again.
#[derive(Default)]
pub struct Account {
    coins: u64,
    seen: BTreeSet<u64>,
}

#[actor(remote)]
impl Account {
    /// Puts coins in, once for each number. Gives what is in it then.
    #[message(id = 1)]
    pub fn deposit(&mut self, number: u64, coins: u64) -> u64 {
        if self.seen.insert(number) {
            self.coins += coins;
        }
        self.coins
    }

    /// The same by somebody who trusts the network.
    #[message(id = 2)]
    pub fn deposit_naively(&mut self, coins: u64) -> u64 {
        self.coins += coins;
        self.coins
    }

    /// What is in it.
    #[message(id = 3)]
    pub fn balance(&mut self) -> u64 {
        self.coins
    }
}

/// How a customer deposits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With a number for each deposit.
    Careful,
    /// Without.
    Naive,
}

/// Deposits a coin `times` times, and tries each again until it is acknowledged. Gives the balance that the last one was answered with.
pub async fn deposit(node: Node, bank: NodeName, times: u64, manner: Manner) -> u64 {
    let mut balance = 0;
    for number in 0..times {
        balance = loop {
            let within = Duration::from_millis(300);
            if let Some(account) = node.actor::<Account>(&bank, "account") {
                let answer = match manner {
                    Manner::Careful => account.deposit(number, 1).within(within).await,
                    Manner::Naive => account.deposit_naively(1).within(within).await,
                };
                if let Ok(balance) = answer {
                    break balance;
                }
            }
            rt::sleep(Duration::from_millis(50)).await;
        };
    }
    balance
}
