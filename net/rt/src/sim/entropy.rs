//! The one door to entropy that madsim leaves open: ring and getrandom 0.2 make the system call themselves instead of calling libc's
//! `getrandom`, which madsim seeds. This definition of `syscall` comes before libc's when a binary is linked.
//!
//! What is drawn here is in the ledger. What std draws by libc's `getrandom` is not, but madsim gives it from the same stream as the order of
//! tasks and the nanoseconds that each poll takes: one draw more, and the time of the next line is another one.

#![expect(unsafe_code, reason = "a function of libc is replaced")]

use std::sync::atomic::{AtomicUsize, Ordering};

use libc::c_long;

type Syscall = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;

/// libc's `syscall`, but asks for entropy go to libc's `getrandom`.
///
/// # Safety
/// As libc's `syscall`.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    if number == libc::SYS_getrandom {
        // SAFETY: the caller passes what SYS_getrandom takes: a buffer, its length and flags.
        let got = unsafe { libc::getrandom(a as *mut libc::c_void, b as usize, c as libc::c_uint) } as c_long;
        if let Some(length) = usize::try_from(got).ok().filter(|length| *length > 0) {
            // SAFETY: the call has just filled so many bytes of the caller's buffer.
            super::ledger::entropy(unsafe { std::slice::from_raw_parts(a as *const u8, length) });
        }
        return got;
    }
    let mut next = NEXT.load(Ordering::Relaxed);
    if next == 0 {
        // SAFETY: the name is a C string; the next definition of `syscall` is libc's.
        next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) } as usize;
        assert!(next != 0, "libc has no syscall function");
        NEXT.store(next, Ordering::Relaxed);
    }
    // SAFETY: `next` is libc's `syscall`, a variadic function that reads its arguments like this one on the ABIs of linux-gnu.
    let next = unsafe { std::mem::transmute::<usize, Syscall>(next) };
    // SAFETY: the caller's promise is passed on.
    unsafe { next(number, a, b, c, d, e, f) }
}

/// Sixteen bytes from the raw system call.
pub(super) fn raw() -> [u8; 16] {
    let mut bytes = [0u8; 16];
    // SAFETY: the buffer is as long as it says.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) };
    assert_eq!(got, bytes.len() as c_long);
    bytes
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn what_the_process_draws_is_in_the_ledger() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = lines.clone();
        crate::sim::ledger::open(move |line| seen.borrow_mut().push(format!("{} {}", line.kind, line.detail)));
        crate::sim::run(1, async { super::raw() });
        crate::sim::ledger::close();
        assert_eq!(lines.borrow().iter().filter(|line| line.starts_with("entropy 16 B ")).count(), 1, "{lines:?}");
    }
}
