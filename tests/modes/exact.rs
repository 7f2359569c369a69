//! The mode that a file has in the end: just that which was asked for, under any umask.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use afunix::{SocketFileError, UnixDatagram};

use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::seccomp::{CHMOD, FCHMOD, FCHMODAT, pretend};
use crate::common::{TempDir, addr, passes_in_child, snapshot};
use crate::made::{Made, Way, chmod, local_addr, mode, set_umask};

for_data!(
    each_mode_is_exact_under_each_umask
    without_a_mode_it_is_0777_less_the_umask
    a_mode_of_more_bits_is_refused_and_nothing_made
    a_umask_that_changes_meanwhile_changes_no_mode
    a_mode_that_cannot_be_had_is_told_and_nothing_made
);

const UMASKS: [u32; 4] = [0, 0o022, 0o077, 0o777];

fn each_mode_is_exact_under_each_umask<T: Made>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        for umask in UMASKS {
            set_umask(umask);
            for wanted in 0..=0o777 {
                for way in Way::ALL {
                    let (socket, file) = T::make(way.options(&path).mode(wanted)).unwrap();
                    let case = format!("{way:?} {wanted:03o} under {umask:03o}");
                    assert_eq!(mode(&path), wanted, "{case}");
                    // A listener may be there before it is ready, a datagram socket may not.
                    let widened = T::TYPE == UnixDatagram::TYPE && wanted & umask != 0;
                    let is_true = local_addr(&socket) == *file.addr().unwrap();
                    assert_eq!(is_true, !widened && !way.is_hidden(), "{case}");
                    assert_eq!(file.remove(), Ok(true), "{case}");
                }
            }
        }
        assert_eq!(snapshot(folder.path()), []);
    });
}

fn without_a_mode_it_is_0777_less_the_umask<T: Made>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        for umask in 0..=0o777 {
            set_umask(umask);
            for way in Way::ALL {
                let (socket, file) = T::make(way.options(&path)).unwrap();
                assert_eq!(mode(&path), 0o777 & !umask, "{way:?} under {umask:03o}");
                let is_true = local_addr(&socket) == *file.addr().unwrap();
                assert_eq!(is_true, !way.is_hidden(), "{way:?} under {umask:03o}");
                assert_eq!(file.remove(), Ok(true));
            }
        }
    });
}

fn a_mode_of_more_bits_is_refused_and_nothing_made<T: Made>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        for taken in [false, true] {
            let old = taken.then(|| T::make(Way::Plain.options(&path)).unwrap());
            let before = snapshot(folder.path());
            for asked in [0o1000, 0o1777, 0o2660, 0o4777, 0o7777, 0o10000, 0o140600, u32::MAX] {
                for way in Way::ALL {
                    let made = T::make(way.options(&path).mode(asked)).map(drop);
                    let refused = matches!(made, Err(SocketFileError::InvalidMode { mode, .. }) if mode == asked);
                    assert!(refused, "{asked:o}: {made:?}");
                }
            }
            assert_eq!(snapshot(folder.path()), before);
            drop(old);
        }
    });
}

/// Another thread has the umask go to and fro: the mode may not be right at once, but is in the end, and
/// is never wider on the way. Who binds first and sets the mode then is seen to be wider.
fn a_umask_that_changes_meanwhile_changes_no_mode<T: Made>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let path = folder.join("control");
        let names = &[path.clone(), folder.join(".control.afunix")];
        let (done, too_wide) = (&AtomicBool::new(false), &AtomicBool::new(false));
        thread::scope(|scope| {
            // Also when something fails: the scope waits for both.
            let _done = Done(done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    [0, 0o777, 0o022].into_iter().for_each(set_umask);
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let found = names.iter().filter_map(|name| name.symlink_metadata().ok());
                    if found.map(|file| file.mode() & 0o7777).any(|mode| mode & !0o640 != 0) {
                        too_wide.store(true, Ordering::Relaxed);
                    }
                }
            });
            for way in Way::ALL {
                for _ in 0..100 {
                    let (_socket, file) = T::make(way.options(&path).mode(0o640)).unwrap();
                    assert_eq!(mode(&path), 0o640, "{way:?}");
                    assert_eq!(file.remove(), Ok(true));
                }
            }
            assert!(!too_wide.load(Ordering::Relaxed));
            // The watchdog ends it.
            while !too_wide.load(Ordering::Relaxed) {
                let _socket = T::serve(&addr(&path)).unwrap();
                thread::sleep(Duration::from_micros(200));
                chmod(&path, 0o640);
                std::fs::remove_file(&path).unwrap();
            }
        });
    });
}

/// Sets it when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As in a file system that has its own permissions: who sets them is told that they are set. A filter
/// stands for it.
fn a_mode_that_cannot_be_had_is_told_and_nothing_made<T: Made>(test: &str) {
    passes_in_child(test, || {
        if left_out_by_qemu(FILTER) {
            return;
        }
        let folder = TempDir::new();
        let (new, taken) = (folder.join("new"), folder.join("taken"));
        let (_old, old) = T::make(Way::Plain.options(&taken)).unwrap();
        let before = snapshot(folder.path());
        [FCHMOD, FCHMODAT, CHMOD].into_iter().for_each(pretend);
        for umask in UMASKS {
            set_umask(umask);
            let born = 0o777 & !umask;
            for wanted in [0, 0o600, 0o640, 0o700, 0o755, 0o777] {
                for (way, path) in
                    Way::ALL.map(|way| (way, &new)).into_iter().chain([(Way::Replace, &taken)])
                {
                    if wanted == born {
                        continue;
                    }
                    let made = T::make(way.options(path).mode(wanted)).map(drop);
                    // Wider or narrower.
                    let is_told = matches!(made, Err(SocketFileError::Mode { wanted: asked, found, .. })
                        if (asked, found) == (wanted, born));
                    assert!(is_told, "{way:?} {wanted:03o} under {umask:03o}: {made:?}");
                    assert_eq!(snapshot(folder.path()), before, "{way:?}");
                }
            }
            // Control: what it has anyway, it may have.
            let (_socket, file) = T::make(Way::Plain.options(&new).mode(born)).unwrap();
            assert_eq!((mode(&new), file.remove()), (born, Ok(true)));
        }
        assert_eq!(old.is_in_place(), Ok(true));
    });
}
