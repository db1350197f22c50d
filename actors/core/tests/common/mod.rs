//! One body for both worlds.

use playhouse_actors::prelude::*;

pub(crate) fn run<F: Future<Output = ()>>(body: impl Fn(System) -> F) {
    let system = || System::new(NodeName::new("here").unwrap(), 2).unwrap();
    #[cfg(not(madsim))]
    playhouse_rt::run(2, async {
        let system = system();
        body(system.clone()).await;
        assert_eq!(system.stop(Duration::from_secs(10)).await.late, []);
        assert_eq!(system.counters().alive, 0, "nothing is left behind");
        assert!(system.supervisors().is_empty());
    })
    .unwrap();
    #[cfg(madsim)]
    for seed in 0..20 {
        playhouse_rt::sim::run(seed, async {
            let system = system();
            body(system.clone()).await;
            assert_eq!(system.stop(Duration::from_secs(10)).await.late, []);
        });
    }
}

#[allow(dead_code, reason = "each test binary compiles this file, and some have nothing to wait for")]
/// Waits for `what`, which another task brings about.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    while !what() {
        playhouse_rt::sleep(Duration::from_millis(1)).await;
    }
}
