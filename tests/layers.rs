//! The shape of the source: who may import whom, where `unsafe` may stand, how long a file may be.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Each part of `src`, lowest first. A file imports from lower ranks and from its own folder only.
const RANKS: &[(&str, u32)] = &[
    ("error", 0),
    ("wire", 0),
    ("sys", 1),
    ("addr", 2),
    ("cred", 2),
    ("socket", 3),
    ("ancillary", 4),
    ("message", 5),
    ("peer", 6),
    ("socket_file", 6),
    ("with_embedded_io", 6),
    ("with_std", 6),
    ("service", 7),
];

/// Above all: they name everything.
const TOP: &[&str] = &["lib", "fuzzing"];

/// What `lib.rs` re-exports from below everything, and so is not an import from above.
const FROM_RUSTIX: &[&str] = &[
    "AsFd",
    "AsRawFd",
    "RawFd",
    "BorrowedFd",
    "Errno",
    "Gid",
    "IntoRawFd",
    "IoSlice",
    "IoSliceMut",
    "OwnedFd",
    "Pid",
    "Shutdown",
    "Uid",
];

/// A source file: its part (`sys` for `src/sys/addr.rs`), its path, and its lines without comments.
struct Source {
    part: String,
    path: PathBuf,
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    fn visit(folder: &Path, sources: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                visit(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(read(path));
            }
        }
    }
    let mut sources = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    assert!(sources.len() > 15, "these are not all the sources");
    sources
}

fn read(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).expect("a readable file");
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let first = inside.expect("a path below src").components().next().expect("a name");
    let part = Path::new(first.as_os_str()).file_stem().expect("a name").to_string_lossy();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or("").into()).collect();
    Source { part: part.into_owned(), path, lines }
}

/// Whether it is `tests.rs`, or in a folder `tests`.
fn is_test(source: &Source) -> bool {
    let inside = source.path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    inside.is_ok_and(|inside| inside.with_extension("").iter().any(|name| name == "tests"))
}

fn rank(part: &str) -> Option<u32> {
    RANKS.iter().find(|(name, _)| *name == part).map(|(_, rank)| *rank)
}

/// The parts that a file names by `crate::part`, and the bare names that it takes from the root.
fn imports(lines: &[String]) -> Vec<String> {
    let text = lines.join(" ");
    let mut found = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        // A list of names, or one.
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or(""),
            None => rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or(""),
        };
        found.extend(
            names.split(',').map(|name| name.trim().split("::").next().unwrap_or("").into()),
        );
    }
    found.retain(|name: &String| !name.is_empty());
    found
}

/// What is wrong with the imports of one file.
fn upward_imports(source: &Source) -> String {
    let mut wrong = String::new();
    let Some(own) = rank(&source.part) else {
        if !TOP.contains(&source.part.as_str()) {
            let _ = writeln!(wrong, "{} has no rank", source.path.display());
        }
        return wrong;
    };
    for name in imports(&source.lines) {
        let allowed = name == source.part
            || FROM_RUSTIX.contains(&name.as_str())
            || rank(&name).is_some_and(|rank| rank < own)
            // Both are of rank 0, and errors know nothing of bytes.
            || (source.part == "wire" && name == "error");
        if !allowed {
            let _ = writeln!(wrong, "{} imports crate::{name}", source.path.display());
        }
    }
    wrong
}

#[test]
fn a_file_imports_only_from_below() {
    let wrong: String =
        sources().iter().filter(|source| !is_test(source)).map(upward_imports).collect();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn an_upward_import_would_be_seen() {
    let lines = ["use crate::addr::UnixAddr;", "use crate::{Errno, socket::UnixStream};"];
    let lines = lines.map(String::from).to_vec();
    let planted = Source { part: "sys".into(), path: "planted.rs".into(), lines };
    let wrong = upward_imports(&planted);
    assert!(wrong.contains("crate::addr") && wrong.contains("crate::socket"), "{wrong}");
    assert!(!wrong.contains("Errno"), "{wrong}");
    let planted = Source { part: "new".into(), path: "planted.rs".into(), lines: Vec::new() };
    assert!(upward_imports(&planted).contains("has no rank"));
}

#[test]
fn unsafe_stands_only_in_sys() {
    for source in sources() {
        let has = source.lines.iter().any(|line| {
            line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "unsafe")
        });
        let is_sys = source.part == "sys";
        assert!(!has || is_sys, "{} has unsafe code", source.path.display());
        if source.path.ends_with("src/sys/syscall.rs") {
            assert!(has, "the search for unsafe code finds none where there is some");
        }
    }
}

#[test]
fn assembly_stands_in_one_file() {
    let with_asm: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.lines.iter().any(|line| line.contains("asm!(")))
        .map(|source| source.path)
        .collect();
    assert_eq!(with_asm.len(), 1, "{with_asm:?}");
    assert!(with_asm[0].ends_with("src/sys/syscall.rs"));
}

#[test]
fn only_one_place_adopts_a_raw_descriptor() {
    let with: Vec<_> = sources()
        .into_iter()
        .filter(|source| !is_test(source))
        .filter(|source| source.lines.iter().any(|line| line.contains("::from_raw_fd(")))
        .map(|source| source.path)
        .collect();
    assert_eq!(with.len(), 1, "{with:?}");
    assert!(with[0].ends_with("src/sys/fd.rs"));
}

#[test]
fn wire_imports_core_and_errors_alone_and_indexes_nothing() {
    let mut seen = 0;
    for source in sources().iter().filter(|source| source.part == "wire" && !is_test(source)) {
        seen += 1;
        for line in &source.lines {
            let line = line.trim();
            let path = source.path.display();
            if let Some(import) = line.strip_prefix("use ") {
                let fine = ["core::", "crate::error::", "crate::wire::"];
                assert!(fine.iter().any(|start| import.starts_with(start)), "{path}: {line}");
            }
            let indexes = line.char_indices().any(|(at, c)| {
                let before = line[..at].chars().next_back();
                c == '[' && before.is_some_and(|b| b.is_alphanumeric() || "_)]".contains(b))
            });
            assert!(!indexes, "{path} indexes: {line}");
        }
    }
    assert!(seen >= 3, "only {seen} files of wire were seen");
}

#[test]
fn files_and_functions_are_short() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.lines.len() <= 400, "{path} has {} lines", source.lines.len());
        let mut start = None;
        for (number, line) in source.lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_fn = line.trim_start().split("fn ").next().is_some_and(|before| {
                line.contains("fn ")
                    && before.split_whitespace().all(|word| {
                        ["pub", "pub(crate)", "pub(super)", "const", "unsafe"].contains(&word)
                    })
            });
            if is_fn {
                start = Some((number, indent));
            }
            if let Some((first, at)) = start {
                if indent == at && line.trim() == "}" {
                    assert!(number - first <= 70, "{path}:{} is too long", first + 1);
                    start = None;
                }
            }
        }
    }
}

/// The text of each test file.
fn test_texts() -> String {
    fn visit(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() && !path.ends_with("target") {
                visit(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(path).expect("a readable file"));
            }
        }
    }
    let mut all = String::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut all);
    // A citation may be broken into lines of comment.
    all.split_whitespace().filter(|word| !word.starts_with("//")).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_fact_of_kernel_md_is_cited_by_a_test() {
    let tests = test_texts();
    let facts = include_str!("../src/kernel.md");
    let headings: Vec<_> = facts.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(headings.len() > 20);
    let uncited: Vec<_> =
        headings.iter().filter(|heading| !tests.contains(&format!("\"{heading}\""))).collect();
    assert!(uncited.is_empty(), "no test cites {uncited:#?}");
}
