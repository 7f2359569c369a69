//! Relative paths: from the working directory, and from an open one.

use std::fs;
use std::path::{Path, PathBuf};

use afunix::{AsFd, Errno, FileAddr, OwnedFd, SocketFile, SocketFileError, Step, UnixAddr};
use rustix::fs::OFlags;

use crate::common::{TempDir, close, passes_in_child};
use crate::kit::{
    Files, RECLAIMING, REPLACING, arrives, by_kernel, bytes, nothing_came, open, states, ways,
};
use crate::lengths::deep;

for_data!(
    relative_path_of_any_length_begins_in_the_working_directory
    path_of_any_length_begins_in_an_open_directory
    absolute_path_needs_no_open_directory
    what_is_no_directory_is_an_error
    open_directory_that_moved_is_the_same
);

const LENGTHS: [usize; 10] = [1, 7, 107, 108, 109, 110, 300, 4000, 4094, 4095];

/// A relative path that is so long, from `folder`, in which its directories are made.
fn relative(folder: &Path, len: usize) -> PathBuf {
    if len <= 7 {
        return "n".repeat(len).into();
    }
    // A path in the folder that is longer than any is made in it.
    let here = std::env::current_dir().unwrap();
    assert_eq!(here, folder, "the working directory of a child");
    let path = deep(Path::new("."), len + 2, 7);
    path.strip_prefix(".").unwrap().to_path_buf()
}

fn relative_path_of_any_length_begins_in_the_working_directory<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        std::env::set_current_dir(folder.path()).unwrap();
        for len in LENGTHS {
            let path = relative(folder.path(), len);
            let options = SocketFile::options(bytes(&path));
            for (way, set) in ways() {
                let (server, file) = T::make(set(options)).unwrap();
                assert_eq!(file.addr().copied(), UnixAddr::from_pathname(bytes(&path)).ok());
                arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
                let target = FileAddr::open(bytes(&path)).unwrap();
                let client = T::unbound().unwrap();
                client.connect_to(target.addr()).unwrap();
                arrives(&client, &server);
                // It is known by its directory, wherever the process goes.
                std::env::set_current_dir("/").unwrap();
                assert_eq!(file.is_in_place(), Ok(true), "{way}, {len}");
                assert_eq!(file.remove(), Ok(true), "{way}, {len}");
                std::env::set_current_dir(folder.path()).unwrap();
                let gone = T::connect_path(bytes(&path)).map(drop).unwrap_err();
                assert_eq!(gone.errno(), Errno::NOENT);
            }
        }
        std::env::set_current_dir("/").unwrap();
    });
}

fn path_of_any_length_begins_in_an_open_directory<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        std::env::set_current_dir(folder.path()).unwrap();
        let paths = LENGTHS.map(|len| relative(folder.path(), len));
        std::env::set_current_dir("/").unwrap();
        for flags in [OFlags::PATH, OFlags::RDONLY, OFlags::PATH | OFlags::DIRECTORY] {
            let dir = open(folder.path(), flags);
            for path in &paths {
                check_at::<T>(&dir, path);
            }
        }
    });
}

fn check_at<T: Files>(dir: &OwnedFd, path: &Path) {
    let options = SocketFile::options(bytes(path)).at(dir.as_fd());
    let client = || {
        let target = FileAddr::open_at(dir.as_fd(), bytes(path)).unwrap();
        let client = T::unbound().unwrap();
        client.connect_to(target.addr()).unwrap();
        client
    };
    for (way, set) in ways() {
        let (server, file) = T::make(set(options)).unwrap();
        assert_eq!(file.addr(), None, "{way}");
        assert_eq!(Some(file.name()), path.file_name().map(|name| name.as_encoded_bytes()));
        arrives(&client(), &server);
        assert_eq!(T::make(options).map(drop), Err(SocketFileError::InUse));
        let (second, _) = T::make(REPLACING[0].1(options)).unwrap();
        arrives(&client(), &second);
        nothing_came::<T>(&server);
        close((second, server));
        assert_eq!(file.remove(), Ok(false), "{way}");
        let (third, file) = T::make(RECLAIMING[0].1(options)).unwrap();
        arrives(&client(), &third);
        assert_eq!(file.remove(), Ok(true), "{way}");
        let gone = FileAddr::open_at(dir.as_fd(), bytes(path)).unwrap_err();
        assert_eq!(gone.errno(), Errno::NOENT);
    }
}

fn absolute_path_needs_no_open_directory<T: Files>(_: &str) {
    let (folder, other) = (TempDir::new(), TempDir::new());
    let (dir, path) = (open(other.path(), OFlags::PATH), folder.join("name"));
    for (way, set) in ways() {
        let options = SocketFile::options(bytes(&path)).at(dir.as_fd());
        let (server, file) = T::make(set(options)).unwrap();
        assert_eq!(file.addr(), Some(&folder.addr("name")), "{way}");
        arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
        assert!(FileAddr::open_at(dir.as_fd(), bytes(&path)).is_ok());
        assert_eq!(file.remove(), Ok(true));
    }
    assert_eq!(states(other.path()), []);
}

fn what_is_no_directory_is_an_error<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::write(folder.join("file"), "").unwrap();
    let before = states(folder.path());
    let file = open(folder.join("file"), OFlags::PATH);
    for (way, set) in ways() {
        for path in [&b"name"[..], b"below/name"] {
            let made = T::make(set(SocketFile::options(path).at(file.as_fd())));
            assert_eq!(by_kernel(made), (Step::Directory, Errno::NOTDIR), "{way}");
        }
    }
    let opened = FileAddr::open_at(file.as_fd(), b"name");
    assert_eq!(by_kernel(opened), (Step::Look, Errno::NOTDIR));
    assert_eq!(states(folder.path()), before);
}

fn open_directory_that_moved_is_the_same<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::create_dir(folder.join("before")).unwrap();
    let dir = open(folder.join("before"), OFlags::PATH);
    fs::rename(folder.join("before"), folder.join("after")).unwrap();
    let path = folder.join("after/name");
    for (way, set) in ways() {
        let options = SocketFile::options(b"name").at(dir.as_fd());
        let (server, file) = T::make(set(options)).unwrap();
        arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
        // And so it is for the file that is there.
        fs::rename(folder.join("after"), folder.join("later")).unwrap();
        assert_eq!(file.is_in_place(), Ok(true), "{way}");
        assert_eq!(file.remove(), Ok(true), "{way}");
        fs::rename(folder.join("later"), folder.join("after")).unwrap();
    }
    assert_eq!(states(folder.join("after")), []);
}
