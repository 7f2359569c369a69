//! Processes whose root has no procfs, or what looks like one.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use afunix::{Errno, FileAddr, SocketFile, SocketFileError, Step};

use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::seccomp::{CHMOD, filter};
use crate::common::{TempDir, addr, close, snapshot};
use crate::made::{Made, Way, is_kernel, leave_stale, local_addr, mode, set_umask};
use crate::mounts::{has_mounts, mount, unmount};
use crate::others::passes_as_root;

for_data!(
    without_procfs_short_paths_work
    without_procfs_what_takes_it_says_so_and_leaves_all_as_it_is
    with_procfs_all_works
    a_folder_that_looks_like_procfs_is_not_believed
    procfs_of_other_processes_is_none
);

/// The root folder of this thread, or of the process, for as long as this lives.
struct Root(File);

impl Root {
    fn change(folder: &TempDir) -> Self {
        // Not by `/` alone, for which qemu-user may have a folder of its own.
        let outside = File::open("/tmp/..").unwrap();
        std::os::unix::fs::chroot(folder.path()).unwrap();
        std::env::set_current_dir("/").unwrap();
        Self(outside)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // SAFETY: a number and a C string.
        unsafe {
            assert_eq!(libc::fchdir(self.0.as_raw_fd()), 0);
            assert_eq!(libc::chroot(c".".as_ptr()), 0);
        }
    }
}

/// Where there is a `run`, with all rights, and a deep folder in it.
fn jail() -> (TempDir, PathBuf) {
    let folder = TempDir::new();
    std::fs::create_dir_all(folder.join("run")).unwrap();
    let deep = Path::new("/run").join("d".repeat(120));
    std::fs::create_dir(folder.join(deep.strip_prefix("/").unwrap())).unwrap();
    std::fs::create_dir(folder.join("proc")).unwrap();
    (folder, deep.join("control"))
}

fn without_procfs_short_paths_work<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, _) = jail();
        let _root = Root::change(&folder);
        let path = Path::new("/run/control");
        for umask in [0, 0o077] {
            set_umask(umask);
            for (way, wanted) in Way::ALL.map(|way| [(way, 0o600), (way, 0o666)]).concat() {
                if umask & wanted != 0 && !has_chmod() {
                    continue;
                }
                let (_socket, file) = T::make(way.options(path).mode(wanted)).unwrap();
                assert_eq!((mode(path), T::reach(&addr(path))), (wanted, Ok(())), "{way:?}");
                assert_eq!(T::connect_path(path.as_os_str().as_bytes()), Ok(()));
                assert_eq!(file.remove(), Ok(true));
            }
        }
        let (old, _) = T::make(Way::Plain.options(path)).unwrap();
        let (_new, file) = T::make(Way::Replace.options(path)).unwrap();
        close(old);
        assert_eq!((T::reach(&addr(path)), file.remove()), (Ok(()), Ok(true)));
        // A left-over one is taken away without a question.
        leave_stale::<T>(Path::new("/run/.control.afunix"), 0o600);
        let (_socket, file) = T::make(Way::Reclaim.options(path)).unwrap();
        assert_eq!(file.remove(), Ok(true));
        assert_eq!(snapshot("/run").len(), 1);
    });
}

/// Whether the kernel sets the mode of an open file: Linux 6.6.
fn has_chmod() -> bool {
    let file = File::open("/run").unwrap();
    // SAFETY: it refuses a bad flag, if it is there.
    unsafe { libc::syscall(452, file.as_raw_fd(), c"".as_ptr(), 0o755, 1) };
    std::io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

/// What takes procfs fails with just that error where there is none.
fn check_none<T: Made>(deep: &Path) {
    let before = snapshot("/run");
    let check = |what: &str, answer: Result<(), SocketFileError>| {
        assert_eq!(answer, Err(SocketFileError::NoProcfs), "{what}");
        assert_eq!(snapshot("/run"), before, "{what}");
    };
    for way in Way::ALL {
        check("a long path", T::make(way.options(deep)).map(drop));
        let long = Path::new("/run").join("n".repeat(200));
        check("a long name", T::make(way.options(&long).mode(0o600)).map(drop));
    }
    let (live, stale) = (Path::new("/run/live"), Path::new("/run/stale"));
    check("a stale name", T::make(Way::Reclaim.options(stale)).map(drop));
    check("a live name", T::make(Way::Reclaim.options(live)).map(drop));
    check("an open file", FileAddr::open(b"/run/live").map(drop));
    let run = File::open("/run").unwrap();
    let long = deep.with_file_name("old");
    check("a long path to connect", T::connect_path(long.as_os_str().as_bytes()));
    check("an open file, given", FileAddr::from_fd(open_path(live)).map(drop));
    let run = rustix_fd(&run);
    check("a relative path", T::make(SocketFile::options(b"new").at(run)).map(drop));
    check("a relative path to connect", FileAddr::open_at(run, b"live").map(drop));
    assert_eq!(T::reach(&addr(live)), Ok(()));
    assert_eq!(T::reach(&addr(stale)), Err(Errno::CONNREFUSED));
}

fn rustix_fd(file: &File) -> afunix::BorrowedFd<'_> {
    // SAFETY: it is open for as long as it is borrowed.
    unsafe { afunix::BorrowedFd::borrow_raw(file.as_raw_fd()) }
}

/// By `O_PATH`, as other programs open it.
fn open_path(path: &Path) -> afunix::OwnedFd {
    use rustix::fs::{Mode, OFlags, open};
    open(path.to_str().unwrap(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// What is there before a test: one that is alive, one that is not, and one at a long path.
fn with_sockets<T: Made>(deep: &Path, body: impl FnOnce()) {
    let live = Path::new("/run/live");
    let (_live, _file) = T::make(Way::Plain.options(live).mode(0o600)).unwrap();
    leave_stale::<T>(Path::new("/run/stale"), 0o600);
    // A socket is bound to a long path by a short one.
    leave_stale::<T>(Path::new("/run/old"), 0o600);
    std::fs::rename("/run/old", deep.with_file_name("old")).unwrap();
    body();
}

fn without_procfs_what_takes_it_says_so_and_leaves_all_as_it_is<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, deep) = jail();
        set_umask(0o077);
        let _root = Root::change(&folder);
        with_sockets::<T>(&deep, || {
            check_none::<T>(&deep);
            if left_out_by_qemu(FILTER) {
                return;
            }
            // As before Linux 6.6; and under a filter, whose errno may as well be the kernel's.
            for errno in [Errno::NOSYS, Errno::PERM] {
                filter(CHMOD, None, errno);
                let before = snapshot("/run");
                for way in Way::ALL {
                    let made = T::make(way.options(Path::new("/run/new")).mode(0o660));
                    if errno == Errno::NOSYS {
                        assert_eq!(made.unwrap_err(), SocketFileError::NoProcfs, "{way:?}");
                    } else {
                        assert!(is_kernel(&made, Step::Mode, errno), "{way:?}");
                    }
                    assert_eq!(snapshot("/run"), before, "{way:?}");
                    let made = T::make(way.options(Path::new("/run/new")).mode(0o600));
                    assert_eq!(made.map(|(_, file)| file.remove()), Ok(Ok(true)), "{way:?}");
                }
            }
        });
    });
}

fn with_procfs_all_works<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, deep) = jail();
        set_umask(0o077);
        if !has_mounts() {
            return;
        }
        mount("proc", &folder.join("proc"), "proc", 0, "").unwrap();
        let root = Root::change(&folder);
        if !left_out_by_qemu(FILTER) {
            filter(CHMOD, None, Errno::NOSYS);
        }
        with_sockets::<T>(&deep, || {
            for path in [&deep, &Path::new("/run").join("n".repeat(200)), Path::new("/run/stale")] {
                for way in Way::ALL {
                    leave_stale::<T>(Path::new("/run/next"), 0o600);
                    std::fs::rename("/run/next", path).unwrap();
                    if !matches!(way, Way::Reclaim | Way::Replace) {
                        std::fs::remove_file(path).unwrap();
                    }
                    let (_socket, file) = T::make(way.options(path).mode(0o660)).unwrap();
                    assert_eq!(mode(path), 0o660);
                    assert_eq!(T::connect_path(path.as_os_str().as_bytes()), Ok(()));
                    let target = FileAddr::open(path.as_os_str().as_bytes()).unwrap();
                    assert_eq!(T::reach(target.addr()), Ok(()));
                    assert_eq!(file.remove(), Ok(true));
                }
            }
        });
        drop(root);
        unmount(&folder.join("proc"));
    });
}

/// With a descriptor's folder for each thread, and a umask that is not this one's.
fn a_folder_that_looks_like_procfs_is_not_believed<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, deep) = jail();
        for thread in ["proc/self", "proc/thread-self"] {
            std::fs::create_dir_all(folder.join(thread).join("fd")).unwrap();
            let status = "Name:\tcontrol\nUmask:\t0000\n";
            std::fs::write(folder.join(thread).join("status"), status).unwrap();
            for fd in 0..32 {
                // Were it believed, this would be reached, or have its mode changed.
                let trap = folder.join(thread).join(format!("fd/{fd}"));
                std::os::unix::fs::symlink("/run/live", trap).unwrap();
            }
        }
        set_umask(0o077);
        let _root = Root::change(&folder);
        with_sockets::<T>(&deep, || {
            check_none::<T>(&deep);
            let path = Path::new("/run/control");
            if has_chmod() {
                let (socket, file) = T::make(Way::Plain.options(path).mode(0o660)).unwrap();
                let is_true = local_addr(&socket) == *file.addr().unwrap();
                assert_eq!(is_true, T::TYPE != libc::SOCK_DGRAM);
                assert_eq!((mode(path), file.remove()), (0o660, Ok(true)));
            }
            if !left_out_by_qemu(FILTER) {
                filter(CHMOD, None, Errno::NOSYS);
                let made = T::make(Way::Plain.options(path).mode(0o660));
                assert_eq!(made.unwrap_err(), SocketFileError::NoProcfs);
            }
            assert_eq!(mode("/run/live"), 0o600);
        });
    });
}

/// That of processes which this one is none of: it has no number there.
fn procfs_of_other_processes_is_none<T: Made>(test: &str) {
    passes_as_root(test, || {
        let (folder, deep) = jail();
        if !has_mounts() {
            return;
        }
        let target = folder.join("proc");
        // SAFETY: a number alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
        // The first process of its own, whose procfs this is.
        // SAFETY: the child mounts, and ends without a way back.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_mounted = mount("proc", &target, "proc", 0, "").is_ok();
            // SAFETY: a number alone.
            unsafe { libc::_exit(i32::from(!is_mounted)) };
        }
        let mut status = 0;
        // SAFETY: the number is ours to write.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        let root = Root::change(&folder);
        assert!(Path::new("/proc/filesystems").exists());
        with_sockets::<T>(&deep, || check_none::<T>(&deep));
        drop(root);
        unmount(&target);
    });
}

/// What no root, and no procfs, has to do with.
#[test]
fn without_procfs_a_folder_of_nobody_is_still_refused() {
    const TEST: &str = "chroots::without_procfs_a_folder_of_nobody_is_still_refused";
    let _watchdog = crate::common::Watchdog::new();
    passes_as_root(TEST, || {
        let (folder, _) = jail();
        crate::made::chmod(folder.join("run"), 0o777);
        let _root = Root::change(&folder);
        let made = SocketFile::options(b"/run/control").listener();
        assert!(matches!(made, Err(SocketFileError::Insecure { mode: 0o777, .. })), "{made:?}");
        let made = SocketFile::options(b"/none/control").listener();
        assert!(is_kernel(&made, Step::Directory, Errno::NOENT), "{made:?}");
    });
}
