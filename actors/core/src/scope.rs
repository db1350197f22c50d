//! What a message inherits from the one that is being handled: its deadline, and the trace that it is part of.
//!
//! Kept for the extent of a call, on the thread that makes it, and set anew around each poll of what the call leaves behind. It is how
//! a plain `other.ask(..)` inside a handler knows how long its own asker still waits.

use std::cell::Cell;
use std::time::Instant;

use playhouse_wire::Trace;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scope {
    /// When the asker of the message that is being handled gives up.
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Option<Trace>,
}

impl Scope {
    pub(crate) const NONE: Scope = Scope { deadline: None, trace: None };

    /// The scope of the code that runs now.
    #[inline]
    pub(crate) fn current() -> Scope {
        if ANY.get() { CURRENT.get() } else { Scope::NONE }
    }

    /// Makes this the scope until the guard is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Entered {
        let any = self.deadline.is_some() || self.trace.is_some();
        let former = ANY.replace(any).then(|| CURRENT.get());
        if any {
            CURRENT.set(self);
        }
        Entered(former)
    }

    /// The same, without the deadline: for work that answers nobody.
    pub(crate) fn without_deadline(self) -> Scope {
        Scope { deadline: None, ..self }
    }
}

thread_local! {
    /// Whether there is anything in `CURRENT`: a byte is read faster than all of it, and mostly there is nothing.
    static ANY: Cell<bool> = const { Cell::new(false) };
    static CURRENT: Cell<Scope> = const { Cell::new(Scope::NONE) };
}

/// Restores the former scope when dropped, also by a panic.
pub(crate) struct Entered(Option<Scope>);

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        ANY.set(self.0.is_some());
        if let Some(former) = self.0 {
            CURRENT.set(former);
        }
    }
}
