//! A `ptrace` for `LD_PRELOAD`, without which User Mode Linux 6.1 dies at once on a processor with
//! AMX ("ptrace set fp regs failed, errno = 14").
//!
//! User Mode Linux keeps its processes' extended registers in 2,696 bytes, all that a processor had
//! until AMX: 11,008 since. Reading them with `PTRACE_GETREGSET` shortens to the caller's buffer, but
//! `PTRACE_SETREGSET` refuses anything but the full length with `EFAULT`. Here short writes are
//! filled up: the registers beyond belong to AMX, which no process in the guest can have asked for
//! (`arch_prctl(ARCH_REQ_XCOMP_PERM)` is unknown there), so they are in their initial state, and the
//! header says so.
//!
//! Kernel: `xstateregs_set` in
//! <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/kernel/fpu/regset.c#L126>.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_long, c_void};
use core::mem::size_of;
use core::sync::atomic::{AtomicUsize, Ordering};

const SYS_PTRACE: c_long = 101;
const PTRACE_PEEKTEXT: c_int = 1;
const PTRACE_PEEKUSER: c_int = 3;
const PTRACE_GETREGSET: c_int = 0x4204;
const PTRACE_SETREGSET: c_int = 0x4205;
const NT_X86_XSTATE: usize = 0x202;

/// More than any processor's state so far; a longer one is passed on as it came.
const MAX_STATE: usize = 16 * 1024;

/// Where the state's header keeps the bitmap of register groups that are not in their initial state,
/// in 64-bit words.
const XSTATE_BV: usize = 512 / size_of::<u64>();
/// Its bits for AMX: tile configuration and tile data.
const AMX: u64 = 1 << 17 | 1 << 18;

#[repr(C)]
struct IoVec {
    base: *mut c_void,
    len: usize,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// The full length of this machine's register state; 0 until asked for.
static FULL: AtomicUsize = AtomicUsize::new(0);

/// A whole state. Not on the stack: User Mode Linux calls `ptrace` on its kernel stacks of 16 KiB.
static STATE: State = State(UnsafeCell::new([0; MAX_STATE / size_of::<u64>()]));

struct State(UnsafeCell<[u64; MAX_STATE / size_of::<u64>()]>);

// SAFETY: only `set_filled_up` touches it. The guest kernel has one processor, so one host thread
// resumes processes, and the interrupts that may run on top of it (host signals) never do.
unsafe impl Sync for State {}

/// Replaces the C library's function. That one is variadic; on x86-64 its callers pass integers and
/// pointers in the registers of the fixed parameters here.
///
/// # Safety
/// As `ptrace(2)`: `data` points at what the request says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptrace(
    request: c_int,
    pid: c_int,
    addr: *mut c_void,
    data: *mut c_void,
) -> c_long {
    if (PTRACE_PEEKTEXT..=PTRACE_PEEKUSER).contains(&request) {
        // The system call stores the word where `data` points, the C function returns it.
        let mut word: c_long = 0;
        // SAFETY: `word` outlives the call and has the size the kernel writes.
        let result = unsafe { raw(request, pid, addr, (&raw mut word).cast()) };
        return if result < 0 { result } else { word };
    }
    if request == PTRACE_SETREGSET && addr.addr() == NT_X86_XSTATE {
        // SAFETY: for this request the caller's `data` is a valid `iovec`.
        let given = unsafe { data.cast::<IoVec>().read() };
        // SAFETY: the same, of the buffer it names.
        if let Some(result) = unsafe { set_filled_up(pid, &given) } {
            return result;
        }
    }
    // SAFETY: the caller's own request, unchanged.
    unsafe { raw(request, pid, addr, data) }
}

/// Writes a state that is too short, filled up; `None` if it is not too short.
///
/// # Safety
/// `given` names a readable buffer, and no other thread is in this function.
unsafe fn set_filled_up(pid: c_int, given: &IoVec) -> Option<c_long> {
    let words: *mut u64 = STATE.0.get().cast();
    let mut state = IoVec {
        base: words.cast(),
        len: MAX_STATE,
    };
    if FULL.load(Ordering::Relaxed) == 0 {
        // SAFETY: `state` names the whole of `STATE`; the kernel sets its `len` to what it wrote.
        if unsafe { xstate(PTRACE_GETREGSET, pid, &mut state) } < 0 {
            return None;
        }
        FULL.store(state.len, Ordering::Relaxed);
        // SAFETY: within `STATE`, which nobody else uses by contract.
        unsafe { words.cast::<u8>().write_bytes(0, MAX_STATE) };
    }
    let full = FULL.load(Ordering::Relaxed);
    if given.len >= full || full > MAX_STATE || given.len < (XSTATE_BV + 1) * size_of::<u64>() {
        return None;
    }
    // SAFETY: `given` is readable by contract and shorter than `STATE`; the word is within it. What
    // follows `given` there is zero and stays so.
    unsafe {
        words.cast::<u8>().copy_from_nonoverlapping(given.base.cast(), given.len);
        *words.add(XSTATE_BV) &= !AMX;
    }
    state.len = full;
    // SAFETY: `state` names `full` bytes of `STATE`.
    Some(unsafe { xstate(PTRACE_SETREGSET, pid, &mut state) })
}

/// # Safety
/// `state` names a buffer that the request may use.
unsafe fn xstate(request: c_int, pid: c_int, state: &mut IoVec) -> c_long {
    let kind = core::ptr::without_provenance_mut(NT_X86_XSTATE);
    // SAFETY: by contract.
    unsafe { raw(request, pid, kind, core::ptr::from_mut(state).cast()) }
}

/// The system call; sets `errno` as the C library does.
///
/// # Safety
/// As `ptrace(2)`.
unsafe fn raw(request: c_int, pid: c_int, addr: *mut c_void, data: *mut c_void) -> c_long {
    // SAFETY: by contract.
    unsafe { syscall(SYS_PTRACE, c_long::from(request), c_long::from(pid), addr, data) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
