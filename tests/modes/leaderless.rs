//! Threads that go on when the first one of their process has ended: `/proc/self` has no descriptors then.

use std::os::unix::ffi::OsStrExt;
use std::panic::catch_unwind;
use std::thread;
use std::time::{Duration, Instant};

use afunix::FileAddr;

use crate::common::{LONG, TempDir, passes_in_child};
use crate::made::{Made, Way, leave_stale, mode, set_umask};

for_data!(a_thread_without_the_first_one_of_its_process_can_do_all);

fn a_thread_without_the_first_one_of_its_process_can_do_all<T: Made>(test: &str) {
    passes_in_child(test, || {
        let handler = end_thread as extern "C" fn(i32) as libc::sighandler_t;
        // SAFETY: the handler makes one system call; the first thread waits for this one.
        unsafe {
            let first = libc::getpid();
            assert_ne!(libc::gettid(), first, "the harness runs tests in other threads");
            assert_ne!(libc::signal(libc::SIGUSR1, handler), libc::SIG_ERR);
            assert_eq!(libc::syscall(libc::SYS_tgkill, first, first, libc::SIGUSR1), 0);
        }
        if catch_unwind(whole_life::<T>).is_err() {
            // Else the process ends as its last thread does, whatever became of the test.
            // SAFETY: a number alone.
            unsafe { libc::_exit(101) };
        }
    });
}

extern "C" fn end_thread(_: i32) {
    // SAFETY: a number alone.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn whole_life<T: Made>() {
    let start = Instant::now();
    // The first thread is on its way out; then what leads through its descriptors leads nowhere.
    while std::fs::read_link("/proc/self/fd/0").is_ok() {
        assert!(start.elapsed() < LONG / 3, "the first thread lives on");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(std::fs::read_link("/proc/thread-self/fd/0").is_ok());
    set_umask(0o077);
    let folder = TempDir::new();
    let deep = folder.join("d".repeat(150));
    std::fs::create_dir(&deep).unwrap();
    for path in [deep.join("control"), folder.join("n".repeat(255)), folder.join("control")] {
        let bytes = path.as_os_str().as_bytes();
        for way in Way::ALL {
            if matches!(way, Way::Reclaim | Way::Replace) {
                leave_stale::<T>(&path, 0o600);
            }
            let (_socket, file) = T::make(way.options(&path).mode(0o660)).unwrap();
            assert_eq!(mode(&path), 0o660, "{way:?}");
            assert_eq!(T::connect_path(bytes), Ok(()), "{way:?}");
            let target = FileAddr::open(bytes).unwrap();
            assert!(target.addr().as_pathname().unwrap().starts_with(b"/proc/thread-self/fd/"));
            assert_eq!(T::reach(target.addr()), Ok(()), "{way:?}");
            assert_eq!(file.remove(), Ok(true), "{way:?}");
        }
    }
}
