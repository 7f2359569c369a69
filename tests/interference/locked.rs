//! Somebody else holds the lock of the directory.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use afunix::{Errno, SocketFile, SocketFileError, Step};

use crate::common::interrupt::interrupt_by;
use crate::common::notify::copy_of;
use crate::common::stepper::{Go, Stop, passes_with_stops};
use crate::common::{Nobody, Watchdog, close, is_root, open_fds, passes_in_child, skip};
use crate::operations::{LOCK_WAIT, Made, OPERATIONS, Operation, Ready, run};
use crate::world::{World, node};

/// More than a call takes that does not wait, on a machine with too much to do.
const SLACK: Duration = Duration::from_secs(3);

const WAIT: Duration = Duration::from_millis(60);

/// Another process, which has a directory locked until this goes.
struct Holder {
    pid: i32,
    until: Option<std::io::PipeWriter>,
}

impl Holder {
    fn new(folder: &Path) -> Self {
        let folder = File::open(folder).unwrap();
        let (mut until, until_writer) = std::io::pipe().unwrap();
        let (mut locked, mut locked_writer) = std::io::pipe().unwrap();
        // SAFETY: the copy makes system calls alone.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(until_writer);
            // SAFETY: numbers alone.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
                let is_locked = libc::flock(folder.as_raw_fd(), libc::LOCK_EX) == 0;
                let _ = locked_writer.write(&[u8::from(is_locked)]);
                let _ = until.read(&mut [0]);
                libc::_exit(0);
            }
        }
        let mut is_locked = [0];
        locked.read_exact(&mut is_locked).unwrap();
        assert_eq!(is_locked, [1]);
        Self { pid, until: Some(until_writer) }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.until = None;
        // SAFETY: a child of ours that nobody has waited for.
        assert_eq!(unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) }, self.pid);
    }
}

/// What has to be locked, and a world for it.
fn each(body: impl Fn(Operation, &World, &mut dyn FnMut() -> Result<Made, SocketFileError>)) {
    // SAFETY: a number alone.
    unsafe { libc::umask(0o077) };
    for operation in OPERATIONS {
        let _watchdog = Watchdog::new();
        let world = World::new();
        let before = operation.before(&world);
        let (path, folder) = (world.bytes(), world.folder());
        let ready = Ready::new(operation, &path, &folder);
        body(operation, &world, &mut || operation.make(&ready, &path));
        drop(before);
    }
}

fn needs_no_lock(operation: Operation) -> bool {
    matches!(operation, Operation::Plain | Operation::At)
}

#[test]
fn a_lock_is_waited_for_as_long_as_is_said_and_nothing_changed() {
    passes_in_child("locked::a_lock_is_waited_for_as_long_as_is_said_and_nothing_changed", || {
        for wait in [Duration::ZERO, WAIT] {
            LOCK_WAIT.store(u64::try_from(wait.as_millis()).unwrap(), Ordering::Relaxed);
            each(|operation, world, make| {
                let holder = Holder::new(&world.folder());
                let (entries, open) = (world.entries(), open_fds());
                let start = Instant::now();
                let done = make();
                let time = start.elapsed();
                if needs_no_lock(operation) {
                    done.expect("no lock is needed");
                    return;
                }
                let what = format!("{operation:?}, {wait:?}: {done:?} after {time:?}");
                assert!(matches!(done, Err(SocketFileError::Locked)), "{what}");
                assert!(time >= wait && time < wait + SLACK, "{what}");
                assert_eq!(world.entries(), entries, "{what}");
                assert_eq!(open_fds(), open, "{what}");
                drop(holder);
                make().expect(&what);
            });
        }
    });
}

#[test]
fn a_lock_that_is_freed_in_time_is_taken() {
    passes_in_child("locked::a_lock_that_is_freed_in_time_is_taken", || {
        each(|operation, world, make| {
            let holder = Holder::new(&world.folder());
            let start = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(WAIT / 4);
                    drop(holder);
                });
                make().unwrap();
            });
            let time = start.elapsed();
            assert!(time >= WAIT / 4, "{operation:?}: {time:?}");
            assert!(time < SLACK, "{operation:?}: {time:?}");
        });
    });
}

#[test]
fn a_signal_ends_the_wait() {
    passes_in_child("locked::a_signal_ends_the_wait", || {
        for flags in [0, libc::SA_RESTART] {
            let world = World::new();
            let path = world.bytes();
            let (_listener, file) = SocketFile::options(&path).listener().unwrap();
            let _holder = Holder::new(&world.folder());
            let entries = world.entries();
            let is_interrupted = |answer: Result<(), SocketFileError>| {
                let Err(SocketFileError::Kernel { step, errno, .. }) = answer else {
                    panic!("{answer:?}");
                };
                assert_eq!((step, errno), (Step::Lock, Errno::INTR));
            };
            let options = SocketFile::options(&path);
            // Who would go on without it, too.
            is_interrupted(interrupt_by(flags, || options.listener().map(drop)));
            is_interrupted(interrupt_by(flags, || options.reclaim().listener().map(drop)));
            is_interrupted(interrupt_by(flags, || options.replace().listener().map(drop)));
            is_interrupted(interrupt_by(flags, || file.remove().map(drop)));
            assert_eq!(world.entries(), entries);
        }
    });
}

/// There is nobody to try again.
#[test]
fn a_signal_keeps_no_file_that_is_to_be_removed_on_drop() {
    passes_in_child("locked::a_signal_keeps_no_file_that_is_to_be_removed_on_drop", || {
        for lock_wait in [WAIT, Duration::from_secs(60)] {
            let _watchdog = Watchdog::new();
            let world = World::new();
            let path = world.bytes();
            let options = SocketFile::options(&path).remove_on_drop().lock_wait(lock_wait);
            let (_listener, file) = options.listener().unwrap();
            let holder = Holder::new(&world.folder());
            let start = Instant::now();
            if lock_wait == WAIT {
                interrupt_by(0, || drop(file));
                assert!(start.elapsed() >= WAIT && start.elapsed() < 2 * WAIT + SLACK);
                assert_eq!(world.entries().len(), 1);
                continue;
            }
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(WAIT);
                    drop(holder);
                });
                interrupt_by(0, || drop(file));
            });
            assert_eq!(world.entries(), []);
        }
    });
}

/// A copy of the descriptor that a child has, or a process that was forked meanwhile, keeps no lock.
#[test]
fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
    passes_with_stops("locked::a_copy_of_the_descriptor_does_not_keep_the_lock", || {
        for operation in OPERATIONS.into_iter().filter(|operation| !needs_no_lock(*operation)) {
            assert!(is_free_after(operation, true), "{operation:?}");
            // What would be if it were left to the close.
            assert!(!is_free_after(operation, false), "{operation:?}");
        }
    });
}

/// Whether the directory can be locked once the process has ended that had it locked, as long as there is
/// a copy of its descriptor; and if that process may unlock it or not.
fn is_free_after(operation: Operation, may_unlock: bool) -> bool {
    let _watchdog = Watchdog::new();
    let world = World::new();
    let _before = operation.before(&world);
    let mut copy = None;
    let told = run(operation, &world, false, |pid, stop| {
        if let Stop::Before(_, call) = stop {
            if call.is(libc::SYS_flock) {
                let unlocks = call.args[1] == u64::from(libc::LOCK_UN.unsigned_abs());
                if unlocks && !may_unlock {
                    return Go::Refuse(Errno::IO);
                }
                copy = Some(copy_of(pid, i32::try_from(call.args[0]).unwrap()).unwrap());
            }
        }
        Go::On
    });
    assert_eq!(told.answer, Ok(true), "{operation:?}");
    let copy = copy.expect("a lock");
    let folder = File::open(world.folder()).unwrap();
    // SAFETY: numbers alone.
    let is_free = unsafe { libc::flock(folder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 };
    drop(copy);
    is_free
}

/// What file systems without locks answer; and NFS, which locks for writing what is open for that.
#[test]
fn a_directory_that_has_no_locks_is_one_for_those_who_need_none() {
    let test = "locked::a_directory_that_has_no_locks_is_one_for_those_who_need_none";
    passes_with_stops(test, || {
        let _watchdog = Watchdog::new();
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        for operation in OPERATIONS {
            for errno in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS, Errno::BADF] {
                let world = World::new();
                let _before = operation.before(&world);
                let entries = world.entries();
                let told = run(operation, &world, false, |_, stop| match stop {
                    Stop::Before(_, call) if call.is(libc::SYS_flock) => Go::Refuse(errno),
                    _ => Go::On,
                });
                let what = format!("{operation:?}, {errno:?}: {told:?}");
                if needs_no_lock(operation) {
                    assert_eq!(told.answer, Ok(true), "{what}");
                    assert_eq!(node(&world.path()), told.node, "{what}");
                    continue;
                }
                let Err(SocketFileError::Kernel { step: Step::Lock, errno: found, .. }) =
                    told.answer
                else {
                    panic!("{what}");
                };
                assert_eq!(found, errno, "{what}");
                // What it was to be removed from is made before.
                assert!(operation.removes() || world.entries() == entries, "{what}");
            }
        }
    });
}

/// Who went on without the lock and failed then leaves the file, as a socket that nobody has, to who has the
/// lock; it takes it back if the lock is free by then.
#[test]
fn what_was_made_without_the_lock_is_not_taken_back_without_it() {
    let test = "locked::what_was_made_without_the_lock_is_not_taken_back_without_it";
    passes_with_stops(test, || {
        LOCK_WAIT.store(u64::try_from(WAIT.as_millis()).unwrap(), Ordering::Relaxed);
        for is_freed in [false, true] {
            let _watchdog = Watchdog::new();
            let world = World::new();
            // Of this process, which can give it up though the other one has a copy of the descriptor.
            let holder = File::open(world.folder()).unwrap();
            // SAFETY: numbers alone.
            let lock = |how| assert_eq!(unsafe { libc::flock(holder.as_raw_fd(), how) }, 0);
            lock(libc::LOCK_EX);
            let told = run(Operation::Plain, &world, false, |_, stop| match stop {
                Stop::Before(_, call) if call.is(libc::SYS_listen) => {
                    lock(if is_freed { libc::LOCK_UN } else { libc::LOCK_EX });
                    Go::Refuse(Errno::IO)
                }
                _ => Go::On,
            });
            let what = format!("{is_freed}: {told:?}, {:?}", world.entries());
            let Err(SocketFileError::Kernel { step: Step::Listen, errno, .. }) = told.answer else {
                panic!("{what}");
            };
            assert_eq!((errno, world.entries().is_empty()), (Errno::IO, is_freed), "{what}");
            lock(libc::LOCK_UN);
            let (_listener, file) =
                SocketFile::options(&world.bytes()).reclaim().listener().unwrap();
            assert_eq!(file.remove(), Ok(true), "{what}");
        }
    });
}

/// Runs `body` as nobody, with a folder of nobody's that nobody may list.
fn unreadable(test: &str, body: impl FnOnce(&World)) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        let _watchdog = Watchdog::new();
        let world = World::new();
        for folder in [world.folder().parent().unwrap(), &world.folder()] {
            std::os::unix::fs::chown(folder, Some(Nobody::UID), Some(Nobody::UID)).unwrap();
        }
        let mode = PermissionsExt::from_mode(0o311);
        std::fs::set_permissions(world.folder(), mode).unwrap();
        let _nobody = Nobody::new();
        assert!(std::fs::read_dir(world.folder()).is_err());
        body(&world);
    });
}

#[test]
fn a_directory_that_may_not_be_read_cannot_be_locked() {
    unreadable("locked::a_directory_that_may_not_be_read_cannot_be_locked", |world| {
        let path = world.bytes();
        let options = SocketFile::options(&path);
        let is_refused = |answer: Result<(), SocketFileError>| {
            let Err(SocketFileError::Kernel { step, errno, .. }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!((step, errno), (Step::Lock, Errno::ACCESS));
        };
        is_refused(options.reclaim().listener().map(drop));
        is_refused(options.replace().listener().map(drop));
        is_refused(options.publish_ready().listener().map(drop));
        assert_eq!(node(&world.path()), None);

        let (listener, file) = options.mode(0o600).listener().unwrap();
        let made = node(&world.path());
        assert!(made.is_some());
        is_refused(file.remove().map(drop));
        assert_eq!(file.is_in_place(), Ok(true));
        assert_eq!(options.listener().unwrap_err(), SocketFileError::InUse);
        is_refused(options.reclaim().listener().map(drop));
        close(listener);
        is_refused(options.reclaim().listener().map(drop));
        assert_eq!(node(&world.path()), made);
    });
}

#[test]
fn two_threads_that_reclaim_in_one_directory_take_turns() {
    passes_in_child("locked::two_threads_that_reclaim_in_one_directory_take_turns", || {
        const ROUNDS: u32 = 100;
        let _watchdog = Watchdog::new();
        let world = World::new();
        std::thread::scope(|scope| {
            for name in ["one", "two"] {
                let path = world.folder().join(name);
                scope.spawn(move || {
                    let path = path.as_os_str().as_bytes();
                    for round in 0..ROUNDS {
                        let options = SocketFile::options(path).reclaim();
                        let options =
                            if round % 2 == 0 { options } else { options.publish_ready() };
                        let (listener, file) = options.listener().unwrap();
                        // Each second time it is left to be reclaimed.
                        drop(listener);
                        if round % 2 == 0 {
                            assert_eq!(file.remove(), Ok(true));
                        }
                    }
                });
            }
        });
        assert_eq!(world.entries().len(), 2);
    });
}
