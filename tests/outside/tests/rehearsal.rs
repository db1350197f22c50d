//! The bank, rehearsed: `cargo playhouse sim`.

#[playhouse::sim]
mod rehearsal {
    use bank::{Account, Manner, deposit};
    use playhouse::prelude::*;
    use playhouse_sim::prelude::*;

    const DEPOSITS: u64 = 50;

    /// A bank and a customer, whose connection has bad days.
    async fn bad_days(world: World, manner: Manner) -> u64 {
        world.cluster(["bank", "customer"]);
        world.node("bank", |node| async move {
            let name = ActorName::new("account").expect("a name");
            let account = node.system().spawn_remote(name, SpawnOptions::default(), Account::default).expect("it is free");
            account.ended().await;
        });
        let bank = NodeName::new("bank").expect("a name");
        let work = world.run("customer", move |node| deposit(node, bank, DEPOSITS, manner));
        let troubles = world.draw(
            1_000,
            &[
                Offer::new(80, 4, |random| Fault::Cut {
                    from: "bank".into(),
                    to: "customer".into(),
                    one_way: random.chance(0.5),
                    ms: random.between(10, 2_000),
                }),
                Offer::new(30, 2, |random| Fault::Isolate { node: "bank".into(), ms: random.between(10, 8_000) }),
            ],
        );
        world.play(&troubles).await;
        work.await.expect("nobody takes the customer's power")
    }

    #[playhouse::sim(seeds = 0..50)]
    async fn each_coin_counts_once(world: World) {
        assert_eq!(bad_days(world, Manner::Careful).await, DEPOSITS);
    }

    /// What happens without numbers. It must fail: if no seed sees it, the test above sees nothing either.
    #[playhouse::sim(seeds = 0..10, canary)]
    async fn naive_customers_pay_twice(world: World) {
        assert_eq!(bad_days(world, Manner::Naive).await, DEPOSITS);
    }

    /// What naive customers were caught with, played to careful ones.
    mod each_coin_counts_once_0 {
        #[test]
        #[ignore = "it runs in the simulator: cargo playhouse sim"]
        fn simulated() {
            let plan = include_str!("naive_customers_pay_twice-0.plan.json");
            ::playhouse_sim::test::pinned(concat!(module_path!(), "::simulated"), plan, |world| {
                Box::pin(super::each_coin_counts_once(world))
            });
        }
    }
}
