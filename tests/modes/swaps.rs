//! Another file that comes to the name meanwhile, at each instant that there is, is never removed.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::common::stepper::{look_at_each_stop, passes_with_stops};
use crate::common::{TempDir, addr, close, snapshot};
use crate::made::{Made, Way, leave_stale, set_umask};

for_data!(
    who_reclaims_a_name_removes_no_other_file_that_comes_there
    who_removes_a_file_removes_no_other_that_comes_there
    who_looks_and_then_unlinks_is_seen_to_remove_another_file
);

/// Has `body` run as often as it has instants, each time in a folder where a file was prepared; and moves
/// a socket that is alive over this, each time at another instant. The answer is how often that was lost.
fn losses<T: Made, R>(
    name: &str,
    prepare: impl Fn(&Path) -> R,
    body: impl Fn(&Path, &R) -> bool,
) -> usize {
    let (mut instant, mut lost) = (0, 0);
    loop {
        let folder = TempDir::new();
        let (path, foreign) = (folder.join(name), folder.join("foreign"));
        let alive = T::serve(&addr(&foreign)).unwrap();
        let inode = foreign.metadata().unwrap().ino();
        let prepared = prepare(&path);
        let mut now = 0;
        let stops = look_at_each_stop(
            || body(&path, &prepared),
            || {
                if now == instant {
                    std::fs::rename(&foreign, &path).unwrap();
                }
                now += 1;
            },
        );
        if stops <= instant {
            // Before the look and before the removal, and after it.
            assert!(instant >= 3, "there were only {instant} instants");
            return lost;
        }
        lost += usize::from(snapshot(folder.path()).iter().all(|(_, found, _)| *found != inode));
        close((alive, prepared));
        instant += 1;
    }
}

/// A name that fits an address, and one that takes another name first.
fn names() -> [String; 2] {
    ["control".to_owned(), "n".repeat(200)]
}

fn who_reclaims_a_name_removes_no_other_file_that_comes_there<T: Made>(test: &str) {
    passes_with_stops(test, || {
        set_umask(0o077);
        for name in names() {
            let prepare = |path: &Path| {
                let short = path.with_file_name("stale");
                leave_stale::<T>(&short, 0o600);
                std::fs::rename(short, path).unwrap();
            };
            for (mode, is_ready) in [(0o600, false), (0o660, false), (0o600, true)] {
                let lost = losses::<T, _>(&name, prepare, |path, ()| {
                    let options = Way::Reclaim.options(path).mode(mode);
                    let options = if is_ready { options.publish_ready() } else { options };
                    // Whether it has the name at last is another matter.
                    let _ = T::make(options);
                    true
                });
                assert_eq!(lost, 0, "{name} {mode:o} {is_ready}");
            }
        }
    });
}

fn who_removes_a_file_removes_no_other_that_comes_there<T: Made>(test: &str) {
    passes_with_stops(test, || {
        for name in names() {
            let prepare = |path: &Path| T::make(Way::Plain.options(path)).unwrap();
            let lost = losses::<T, _>(&name, prepare, |_, (_, file)| file.remove().is_ok());
            assert_eq!(lost, 0, "{name}");
        }
    });
}

/// What the harness sees of those who do it so.
fn who_looks_and_then_unlinks_is_seen_to_remove_another_file<T: Made>(test: &str) {
    passes_with_stops(test, || {
        let prepare = |path: &Path| {
            leave_stale::<T>(path, 0o600);
            CString::new(path.as_os_str().as_bytes()).unwrap()
        };
        let lost = losses::<T, _>("control", prepare, |_, path| {
            // SAFETY: C strings.
            unsafe { libc::access(path.as_ptr(), 0) == 0 && libc::unlink(path.as_ptr()) == 0 }
        });
        assert!(lost > 0);
    });
}
