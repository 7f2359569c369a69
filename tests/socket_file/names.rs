//! Paths that name no file, and those that name one in a roundabout way.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use afunix::{Errno, FileAddr, SocketFile, SocketFileError, Step};
use rustix::fs::FileType;

use crate::common::{TempDir, close};
use crate::kit::{Files, arrives, by_kernel, bytes, names, nul, states, ways};
use crate::lengths::temporary;

for_data!(
    path_that_names_no_file_is_told_and_nothing_is_made
    temporary_name_of_another_is_told_and_its_server_goes_on
    nul_is_told_wherever_it_is
    path_in_a_roundabout_way_names_its_file
    folder_that_is_none_is_an_error_of_the_directory
);

fn path_that_names_no_file_is_told_and_nothing_is_made<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::create_dir(folder.join("folder")).unwrap();
    let live = T::serve(&folder.addr("live")).unwrap();
    let before = states(folder.path());
    let mut paths: Vec<Vec<u8>> = ["", "/", "//", ".", "..", "./", "../", "/.", "/.."]
        .into_iter()
        .map(|path| path.as_bytes().to_vec())
        .collect();
    let ends = ["new/", "new//", "live/", "folder/", "folder/.", "folder/..", ".", "..", "./", ""];
    paths.extend(ends.iter().map(|end| [bytes(folder.path()), b"/", end.as_bytes()].concat()));
    for path in &paths {
        let text = path.escape_ascii();
        for (way, set) in ways() {
            let made = T::make(set(SocketFile::options(path)));
            assert_eq!(made.map(drop), Err(SocketFileError::NoName), "{way}, {text}");
        }
        // Who connects is told what the kernel finds there.
        let (connected, expected) = (
            T::connect_path(path).map(drop),
            if path.is_empty() {
                SocketFileError::NoName.errno()
            } else if path.ends_with(b"live/") {
                Errno::NOTDIR
            } else if path.ends_with(b"new/") || path.ends_with(b"new//") {
                Errno::NOENT
            } else {
                Errno::CONNREFUSED
            },
        );
        assert_eq!(connected.unwrap_err().errno(), expected, "{text}");
        match FileAddr::open(path).unwrap_err() {
            SocketFileError::NotASocket { found: FileType::Directory, .. } => {
                assert_eq!(expected, Errno::CONNREFUSED, "{text}");
            }
            SocketFileError::Kernel { step: Step::Look, errno, .. } if path.is_empty() => {
                assert_eq!(errno, Errno::NOENT);
            }
            SocketFileError::Kernel { step: Step::Look, errno, .. } => {
                assert_eq!(errno, expected, "{text}");
            }
            other => panic!("{text}: {other}"),
        }
    }
    assert_eq!(states(folder.path()), before);
    close(live);
}

/// There the next start of the other would take the file for what was left over.
fn temporary_name_of_another_is_told_and_its_server_goes_on<T: Files>(_: &str) {
    let folder = TempDir::new();
    let path = |name: &str| bytes(&folder.join(name)).to_vec();
    let last = temporary::<T>(&folder, &"n".repeat(100));
    for name in [".name.afunix", "..name.afunix.afunix", "...afunix", &last] {
        for (way, set) in ways() {
            let made = T::make(set(SocketFile::options(&path(name))));
            assert_eq!(made.map(drop), Err(SocketFileError::ReservedName), "{way}, {name}");
        }
    }
    assert_eq!(names(folder.path()), [""; 0]);
    for name in [".afunix", "..afunix", "name.afunix", ".name", "afunix", ".afunix.", "n.afunix"] {
        let (socket, file) = T::make(SocketFile::options(&path(name))).unwrap();
        let (_other, other) = T::make(SocketFile::options(&path("name"))).unwrap();
        assert_eq!((file.is_in_place(), other.remove()), (Ok(true), Ok(true)), "{name}");
        assert_eq!(file.remove(), Ok(true));
        close(socket);
    }
}

fn nul_is_told_wherever_it_is<T: Files>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    // The abstract name of the same bytes, and the file where the kernel would cut, are not looked at.
    let whole = bytes(&path);
    for position in 0..=whole.len() {
        let mut path = whole.to_vec();
        path.insert(position, 0);
        for path in [path.clone(), [path, b"\0behind".to_vec()].concat()] {
            for (way, set) in ways() {
                let made = T::make(set(SocketFile::options(&path)));
                assert_eq!(nul(made), position, "{way}, {position}");
            }
            let opened = FileAddr::open(&path);
            assert_eq!(nul(opened), position, "{position}");
            let connected = T::connect_path(&path);
            assert_eq!(nul(connected), position, "{position}");
        }
    }
    assert_eq!(states(folder.path()), []);
    // In one that would be too long as well.
    let mut long = vec![b'l'; 5000];
    long[200] = 0;
    let made = T::make(SocketFile::options(&long));
    assert_eq!(nul(made), 200);
}

fn path_in_a_roundabout_way_names_its_file<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("folder", folder.join("link")).unwrap();
    let names_it =
        ["//name", "///name", "/./name", "/folder/../name", "/link/../name", "/folder/..//name"];
    for end in names_it {
        let path = [bytes(folder.path()), end.as_bytes()].concat();
        for (way, set) in ways() {
            let (server, file) = T::make(set(SocketFile::options(&path))).unwrap();
            assert_eq!(file.name(), b"name");
            assert_eq!(file.addr().and_then(|addr| addr.as_pathname()), Some(&path[..]));
            assert_eq!(names(folder.path()), ["folder", "link", "name"], "{way}, {end}");
            arrives(&T::connect_path(&path).unwrap(), &server);
            arrives(&T::connect_path(bytes(&folder.join("name"))).unwrap(), &server);
            assert_eq!(file.remove(), Ok(true), "{way}, {end}");
        }
    }
    // A link to the directory is followed: only the last part is what it is.
    let through = folder.join("link/name");
    let (server, file) = T::make(SocketFile::options(bytes(&through)).replace()).unwrap();
    arrives(&T::connect_path(bytes(&folder.join("folder/name"))).unwrap(), &server);
    assert_eq!(file.remove(), Ok(true));
    // Bytes that are no text are a name as any other.
    for odd in [&b"\xff\xfe"[..], b"new\nline", b" ", b"...", b"-", b"\x01\x7f", b"a b", b".hidden"]
    {
        let path = folder.join(std::ffi::OsStr::from_bytes(odd));
        for (_, set) in ways() {
            let (server, file) = T::make(set(SocketFile::options(bytes(&path)))).unwrap();
            assert_eq!(file.name(), odd);
            arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
            assert_eq!(file.remove(), Ok(true));
        }
    }
    assert_eq!(names(folder.path()), ["folder", "link"]);
}

fn folder_that_is_none_is_an_error_of_the_directory<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::write(folder.join("file"), "").unwrap();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    std::os::unix::fs::symlink("missing", folder.join("dangling")).unwrap();
    let before = states(folder.path());
    for (parent, expected) in [
        ("missing", Errno::NOENT),
        ("file", Errno::NOTDIR),
        ("loop", Errno::LOOP),
        ("dangling", Errno::NOENT),
        ("missing/below", Errno::NOENT),
    ] {
        let path = folder.join(parent).join("name");
        for (way, set) in ways() {
            let made = T::make(set(SocketFile::options(bytes(&path))));
            assert_eq!(by_kernel(made), (Step::Directory, expected), "{way}, {parent}");
        }
    }
    let long = folder.join("d".repeat(256)).join("name");
    let made = T::make(SocketFile::options(bytes(&long)));
    assert_eq!(by_kernel(made), (Step::Directory, Errno::NAMETOOLONG));
    assert_eq!(states(folder.path()), before);
}
