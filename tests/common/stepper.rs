//! A process that stops before each system call of an operation, and is told there how to go on: so that
//! something can be done between any two of them, one can be refused, or the process be killed at each.
//!
//! It is a copy of the calling process, with a seccomp filter that has the kernel ask this one about each
//! call. Between two calls a process of one thread does nothing that others could see: the stop before a
//! call is the one after the call before, and behind the last there is one more.
//!
//! For a child of [`passes_in_child`](super::passes_in_child) alone, as [`process`](super::process).

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use afunix::Errno;

use super::emulated::{FILTER, left_out_by_qemu};
use super::notify::{self, Call, Listener};
use super::process::{End, Process, Shared, wait_for_change, wake};
use super::{LONG, passes_in_child, skip};

/// Where the process stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// Before a call of the operation, counted from 0.
    Before(usize, Call),
    /// The operation has come to its end.
    Done,
}

/// How it is to go on.
#[derive(Clone, Copy, Debug)]
pub enum Go {
    On,
    /// Without the call, which is answered so.
    Refuse(Errno),
}

/// What both processes see.
struct Control {
    /// The descriptor that asks, and 1; or an errno, negative.
    asking: AtomicI32,
    is_done: AtomicBool,
}

/// A process that stands at one stop after the other. Dropping it kills it.
pub struct Stepped {
    process: Process,
    control: Shared<Control>,
    listener: Listener,
    at: Stop,
    /// The call that waits for an answer.
    id: u64,
    /// How many calls it was asked about.
    count: usize,
}

/// Whether processes can be stopped here; if not, says why.
pub fn is_usable() -> bool {
    if left_out_by_qemu(FILTER) {
        return false;
    }
    match Stepped::try_start(|| (), |()| (), |()| 0) {
        Ok(stepped) => stepped.finish() == End::Code(0),
        Err(errno) => {
            skip(format_args!("no process can be asked about its system calls here: {errno}"));
            false
        }
    }
}

/// [`passes_in_child`], if processes can be stopped here.
#[track_caller]
pub fn passes_with_stops(test: &str, body: impl FnOnce()) {
    passes_in_child(test, || {
        if is_usable() {
            body();
        }
    });
}

/// Has a new process prepare something, make the operation and tell of it. `at` is called at each stop of
/// the operation, with the process's id, and says how to go on.
#[track_caller]
pub fn step<P, T, R: Copy + 'static>(
    prepare: impl FnOnce() -> P,
    operation: impl FnOnce(P) -> T,
    tell: impl FnOnce(T) -> R,
    mut at: impl FnMut(i32, Stop) -> Go,
) -> R {
    // SAFETY: zeros are a value of what may be none, and the process has ended before it is read.
    let answer = unsafe { Shared::<UnsafeCell<MaybeUninit<R>>>::zeroed() };
    let mut stepped = Stepped::start(prepare, operation, |done| {
        let told = tell(done);
        // SAFETY: nobody else touches it until this process has ended.
        unsafe { (*answer.get()).write(told) };
        0
    });
    loop {
        let go = at(stepped.process.pid(), stepped.at);
        match (stepped.at, go) {
            (Stop::Done, _) => break,
            (_, Go::On) => stepped.step(),
            (_, Go::Refuse(errno)) => stepped.refuse(errno),
        };
    }
    assert_eq!(stepped.finish(), End::Code(0), "the process that was asked");
    // SAFETY: it is written before the process ends with 0.
    unsafe { (*answer.get()).assume_init() }
}

/// Has a new process do `body`, which must answer with `true`, and calls `look` at each of its stops; the
/// answer is how many there were. It is killed at the last: that takes less time than its own end.
#[track_caller]
pub fn look_at_each_stop(body: impl FnOnce() -> bool, mut look: impl FnMut()) -> usize {
    // SAFETY: zeros are a value of it.
    let is_good = unsafe { Shared::<AtomicBool>::zeroed() };
    let body = |()| is_good.store(body(), Ordering::Release);
    let mut stepped = Stepped::start(|| (), body, |()| 0);
    let mut stops = 0;
    loop {
        look();
        stops += 1;
        if stepped.step().is_none() {
            stepped.kill();
            assert!(is_good.load(Ordering::Acquire), "it went wrong");
            return stops;
        }
    }
}

impl Stepped {
    /// Starts one that prepares something, and stands then before the first call of its operation. What comes
    /// after that gives the code that it ends with.
    #[track_caller]
    pub fn start<P, T>(
        prepare: impl FnOnce() -> P,
        operation: impl FnOnce(P) -> T,
        after: impl FnOnce(T) -> u8,
    ) -> Self {
        Self::try_start(prepare, operation, after).expect("a process that can be asked")
    }

    fn try_start<P, T>(
        prepare: impl FnOnce() -> P,
        operation: impl FnOnce(P) -> T,
        after: impl FnOnce(T) -> u8,
    ) -> Result<Self, Errno> {
        // SAFETY: atomics, of which zeros are a value.
        let control = unsafe { Shared::<Control>::zeroed() };
        let mut process = Process::start(|| {
            let prepared = prepare();
            let asking = notify::install();
            let told = asking.map_or_else(|errno| -errno.raw_os_error(), |number| number + 1);
            control.asking.store(told, Ordering::Release);
            wake(&control.asking);
            if asking.is_err() {
                return 1;
            }
            let done = operation(prepared);
            control.is_done.store(true, Ordering::Release);
            after(done)
        });
        let listener = control.listener(&mut process)?;
        let (at, id, count) = (Stop::Done, 0, 0);
        let mut stepped = Self { process, control, listener, at, id, count };
        stepped.stop();
        Ok(stepped)
    }

    /// Where it stands.
    pub fn at(&self) -> Stop {
        self.at
    }

    /// Lets it go on to its next stop. `None` if there is none.
    pub fn step(&mut self) -> Option<Stop> {
        (self.at != Stop::Done).then(|| {
            self.resume();
            self.stop()
        })
    }

    /// [`step`](Self::step), so many times.
    pub fn step_over(&mut self, stops: usize) -> Option<Stop> {
        (0..stops).try_fold(self.at, |_, _| self.step())
    }

    /// Lets it go on until it has made so many calls that [change](Call::changes) something. `None` if it makes
    /// no so many.
    pub fn step_over_changes(&mut self, count: usize) -> Option<()> {
        let mut left = count;
        while left > 0 {
            left -= usize::from(matches!(self.at, Stop::Before(_, call) if call.changes()));
            self.step()?;
        }
        Some(())
    }

    /// [`step`](Self::step) without the call, which is answered so.
    pub fn refuse(&mut self, errno: Errno) -> Option<Stop> {
        (self.at != Stop::Done).then(|| {
            self.listener.answer(self.id, Some(errno));
            self.stop()
        })
    }

    /// Lets it go on; [`stop`](Self::stop) is to come next.
    pub fn resume(&mut self) {
        self.listener.answer(self.id, None);
    }

    /// Whether it has come to its next stop.
    pub fn has_stopped(&self) -> bool {
        self.listener.is_asking(Duration::ZERO)
    }

    /// Waits for its next stop.
    pub fn stop(&mut self) -> Stop {
        let (id, call) = self.listener.next();
        self.id = id;
        self.at = if self.control.is_done.load(Ordering::Acquire) {
            Stop::Done
        } else {
            assert!(!call.is(libc::SYS_exit_group), "the operation has panicked");
            self.count += 1;
            Stop::Before(self.count - 1, call)
        };
        self.at
    }

    /// Kills it where it is.
    pub fn kill(self) {
        assert_eq!(self.process.kill(), End::Signal(libc::SIGKILL));
    }

    /// Lets it come to the end of its operation.
    pub fn finish_operation(&mut self) {
        while self.step().is_some() {}
    }

    /// The same, and lets it go on to its end.
    pub fn finish(mut self) -> End {
        self.finish_operation();
        self.resume();
        self.listener.answer_all();
        self.process.wait()
    }

    /// [`finish`](Self::finish), beside this process: by another, which has to live as long.
    pub fn detach(mut self) -> [Process; 2] {
        self.finish_operation();
        self.resume();
        let answers = Process::start(|| {
            self.listener.answer_all();
            0
        });
        [self.process, answers]
    }
}

impl Control {
    /// What asks, as soon as it does.
    fn listener(&self, process: &mut Process) -> Result<Listener, Errno> {
        let start = Instant::now();
        loop {
            match self.asking.load(Ordering::Acquire) {
                0 => assert!(start.elapsed() < LONG, "it does not begin"),
                errno @ ..0 => return Err(Errno::from_raw_os_error(-errno)),
                number => return Listener::of(process.pid(), number - 1),
            }
            assert_eq!(process.has_ended(), None, "it does not begin");
            wait_for_change(&self.asking, 0, Duration::from_millis(100));
        }
    }
}
