//! The one door to entropy that madsim leaves open: ring and getrandom 0.2 make the system call themselves instead of calling libc's
//! `getrandom`, which madsim seeds. This definition of `syscall` comes before libc's when a binary is linked.

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
        return unsafe { libc::getrandom(a as *mut libc::c_void, b as usize, c as libc::c_uint) } as c_long;
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
