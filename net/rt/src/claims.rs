//! Claims in the product's own code: what must always hold, what a range of seeds should have met, what must come true in time, and where
//! a simulation may take the rare way on purpose.
//!
//! | macro | claims | judged |
//! |---|---|---|
//! | [`always!`](crate::always) | this holds whenever it is passed | at once |
//! | [`sometimes!`](crate::sometimes) | over a range of seeds, this is true at least once | over the range |
//! | [`reachable!`](crate::reachable) | over a range of seeds, somebody comes here | over the range |
//! | [`eventually!`](crate::eventually) | this is kept within a time | when the time is over |
//! | [`buggify!`](crate::buggify) | nothing: it is true now and then, and asks for a rare but legal behaviour | – |
//!
//! All of them are at work in a simulation only. In production nothing is left: no argument is evaluated, so none may have an effect that
//! the product needs; `buggify!` is the constant `false`. Texts are checked by the compiler in both worlds.
//!
//! A broken claim does not panic, for the supervision of actors would catch that: it is entered in the simulation's register with its
//! place, its moment and its node, and the run is broken, however it ends. Only the first one counts. Outside a simulation (a unit test of
//! the simulated world) there is no register, and a broken claim panics.
//!
//! A claim's name is its text: two places with the same text are one.

use std::time::Duration;

/// Whether claims are at work: in a simulation.
pub const ON: bool = cfg!(madsim);

/// How likely a site of [`buggify!`](crate::buggify) that is on fires, unless it says otherwise.
pub const FIRES: f64 = 0.05;

/// Claims that this holds whenever it is passed: `always!(condition, "promise")`, or `always!(condition, "promise", "detail {x}")`.
///
/// For what a bug could do, not for what the world could do. See [`claims`](crate::claims) for what happens when it does not hold, and in
/// production (nothing: the condition is not even evaluated).
///
/// ```
/// let (depth, bound) = (3, 16);
/// playhouse_rt::always!(depth <= bound, "a mailbox holds no more than its bound", "{depth} for {bound}");
/// ```
#[macro_export]
macro_rules! always {
    ($held:expr, $promise:expr $(,)?) => {
        $crate::always!($held, $promise, "")
    };
    ($held:expr, $promise:expr, $($detail:tt)+) => {
        if $crate::claims::ON {
            let held: bool = $held;
            if !held {
                $crate::claims::__broken($promise, ::std::format!($($detail)+), ::std::file!(), ::std::line!());
            }
        }
    };
}

/// Claims that over a range of seeds this is true at least once: `sometimes!(condition, "what")`. `cargo sim run` names those that never
/// were. Not evaluated in production.
///
/// One that is passed and never true is known to the run; one that is never passed is known only if a scenario lists it.
///
/// ```
/// let waiting = 0;
/// playhouse_rt::sometimes!(waiting > 0, "somebody waits");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($held:expr, $what:expr $(,)?) => {
        if $crate::claims::ON {
            let held: bool = $held;
            $crate::claims::__seen($what, held);
        }
    };
}

/// Claims that over a range of seeds somebody comes here: `reachable!("what")`. As [`sometimes!`](crate::sometimes) with `true`.
///
/// ```
/// playhouse_rt::reachable!("a checkpoint is damaged");
/// ```
#[macro_export]
macro_rules! reachable {
    ($what:expr $(,)?) => {
        $crate::sometimes!(true, $what)
    };
}

/// Claims that this is kept within a time: `eventually!("promise", within)`, or with a detail as in [`always!`](crate::always). Gives an
/// [`Eventually`], on which [`kept`](crate::claims::Eventually::kept) is to be called when it has come true.
///
/// It is broken when the virtual time passes first, and when the run ends and it is still open: a scenario that relies on it ends when all
/// is quiet. The end of its node's life (a crash, for example) frees it; being dropped does not, for to forget a promise is not to keep it.
///
/// ```
/// let up = playhouse_rt::eventually!("a lost worker comes back", playhouse_rt::Duration::from_secs(20));
/// // ... and when it is back:
/// up.kept();
/// ```
#[macro_export]
macro_rules! eventually {
    ($promise:expr, $within:expr $(,)?) => {
        $crate::eventually!($promise, $within, "")
    };
    ($promise:expr, $within:expr, $($detail:tt)+) => {
        if $crate::claims::ON {
            $crate::claims::Eventually::__open($promise, $within, ::std::format!($($detail)+), ::std::file!(), ::std::line!())
        } else {
            $crate::claims::Eventually::__nothing()
        }
    };
}

/// True now and then, in a simulation that wants it: `if buggify!("short reads") { … }`, or `buggify!("short reads", 0.2)` to fire with
/// that probability instead of [`FIRES`](crate::claims::FIRES). `false` as a constant in production.
///
/// There are two levels, so that a run has a few rare behaviours with their effects, and not all of them a little: a site is on in a
/// quarter of the runs, as the seed and its name say; where it is on, it fires with its probability, drawn from a stream of its own.
///
/// What it leads to must be allowed: a promise that does not survive it is broken.
///
/// ```
/// let batch = if playhouse_rt::buggify!("short batches") { 1 } else { 64 };
/// # assert_eq!(batch, 64);
/// ```
#[macro_export]
macro_rules! buggify {
    ($site:expr $(,)?) => {
        $crate::buggify!($site, $crate::claims::FIRES)
    };
    ($site:expr, $probability:expr $(,)?) => {
        $crate::claims::ON && $crate::claims::__fires($site, $probability)
    };
}

/// What is to be kept; see [`eventually!`](crate::eventually).
#[must_use = "it is broken unless `kept` is called on it"]
#[derive(Debug)]
pub struct Eventually {
    #[cfg(madsim)]
    number: Option<u64>,
}

impl Eventually {
    /// It has come true. Later than it was promised, this breaks it.
    pub fn kept(self) {
        #[cfg(madsim)]
        if let Some(number) = self.number {
            crate::sim::claims::kept(number);
        }
    }

    /// It needs not come true any more.
    pub fn void(self) {
        #[cfg(madsim)]
        if let Some(number) = self.number {
            crate::sim::claims::void(number);
        }
    }

    #[doc(hidden)]
    pub fn __open(promise: &'static str, within: Duration, detail: String, file: &'static str, line: u32) -> Eventually {
        #[cfg(not(madsim))]
        let _ = (promise, within, detail, file, line);
        Eventually {
            #[cfg(madsim)]
            number: crate::sim::claims::promise(promise, within, detail, (file, line)),
        }
    }

    #[doc(hidden)]
    pub fn __nothing() -> Eventually {
        Eventually {
            #[cfg(madsim)]
            number: None,
        }
    }
}

#[doc(hidden)]
#[cold]
pub fn __broken(promise: &'static str, detail: String, file: &'static str, line: u32) {
    #[cfg(madsim)]
    crate::sim::claims::broken(promise, detail, (file, line));
    #[cfg(not(madsim))]
    let _ = (promise, detail, file, line);
}

#[doc(hidden)]
pub fn __seen(what: &'static str, held: bool) {
    #[cfg(madsim)]
    crate::sim::claims::seen(what, held);
    #[cfg(not(madsim))]
    let _ = (what, held);
}

#[doc(hidden)]
pub fn __fires(site: &'static str, probability: f64) -> bool {
    #[cfg(madsim)]
    return crate::sim::claims::fires(site, probability);
    #[cfg(not(madsim))]
    {
        let _ = (site, probability);
        false
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    const _: () = assert!(!ON, "free in production");

    /// Nothing of a claim happens in production.
    #[test]
    fn no_argument_is_evaluated() {
        let never = || -> bool { unreachable!("a claim was evaluated") };
        let text = || -> &'static str { unreachable!("a claim was evaluated") };
        crate::always!(never(), text(), "{}", never());
        crate::sometimes!(never(), text());
        crate::reachable!(text());
        crate::eventually!(text(), Duration::from_secs(u64::from(never())), "{}", never()).kept();
        crate::eventually!("never kept", Duration::ZERO).void();
        assert!(!crate::buggify!(text(), f64::from(u8::from(never()))));
    }
}
