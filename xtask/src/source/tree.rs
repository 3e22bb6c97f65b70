//! The files of the repository, held in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::lex::Lexed;
use super::outline::Outline;
use crate::Result;

/// Extensions of the files whose text is read; of others only the name is known.
const TEXT: [&str; 6] = ["md", "rs", "sh", "toml", "txt", "yml"];

/// Directories that are somebody else's: built, fetched or recorded.
const SKIPPED: [&str; 3] = [".git", "fixtures", "target"];

/// A Rust source.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As it stands.
    pub(crate) text: String,
    /// With what is not code blanked.
    pub(crate) lexed: Lexed,
    /// What it declares and names.
    pub(crate) outline: Outline,
}

impl SourceFile {
    fn new(text: &str) -> Self {
        let lexed = Lexed::new(text);
        let outline = Outline::new(&lexed);
        Self { text: text.to_owned(), lexed, outline }
    }

    /// Lines outside modules that are compiled for tests only.
    pub(crate) fn production_lines(&self) -> usize {
        (1..=self.text.lines().count()).filter(|line| !self.outline.is_test_line(*line)).count()
    }
}

/// Paths from the top of the repository, `/` between components.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    sources: BTreeMap<String, SourceFile>,
    texts: BTreeMap<String, String>,
    others: Vec<String>,
}

impl Tree {
    /// Reads the repository.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.load_directory(root, "")?;
        Ok(tree)
    }

    /// A tree of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert(path, text);
        }
        tree
    }

    /// Adds or replaces a text file.
    pub(crate) fn insert(&mut self, path: &str, text: &str) {
        if has_extension(path, "rs") {
            self.sources.insert(path.to_owned(), SourceFile::new(text));
        } else {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
    }

    fn load_directory(&mut self, root: &Path, directory: &str) -> Result<()> {
        let place = root.join(directory);
        let explain = |error| format!("cannot list {}: {error}", place.display());
        for entry in fs::read_dir(&place).map_err(explain)? {
            let entry = entry.map_err(explain)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path =
                if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            let kind = entry.file_type().map_err(explain)?;
            if kind.is_dir() && SKIPPED.contains(&name.as_str()) {
                self.others.push(format!("{path}/"));
            } else if kind.is_dir() {
                self.load_directory(root, &path)?;
            } else {
                self.load_file(root, &path)?;
            }
        }
        Ok(())
    }

    fn load_file(&mut self, root: &Path, path: &str) -> Result<()> {
        let is_text =
            TEXT.iter().any(|extension| has_extension(path, extension)) || path == ".ci/run";
        if !is_text {
            self.others.push(path.to_owned());
            return Ok(());
        }
        let text = fs::read_to_string(root.join(path))
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        self.insert(path, &text);
        Ok(())
    }

    /// The Rust sources, sorted by path.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &SourceFile)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// One Rust source.
    pub(crate) fn source(&self, path: &str) -> Option<&SourceFile> {
        self.sources.get(path)
    }

    /// Every text file, Rust sources among them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let sources =
            self.sources.iter().map(|(path, source)| (path.as_str(), source.text.as_str()));
        sources.chain(self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// One text file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let source = self.sources.get(path).map(|source| source.text.as_str());
        source.or_else(|| self.texts.get(path).map(String::as_str))
    }

    /// The paths of all files, and of skipped directories with a `/` behind.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        self.sources.keys().chain(self.texts.keys()).map(String::as_str).chain(others)
    }

    /// True when a file or a directory has this path, or it lies in a skipped directory.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let beneath = format!("{path}/");
        path.is_empty()
            || self.paths().any(|known| known == path || known.starts_with(&beneath))
            || self.others.iter().any(|skipped| skipped.ends_with('/') && path.starts_with(skipped))
    }
}

/// True when the path ends in a dot and this extension.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_do_not_count() {
        let source = SourceFile::new("fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n");
        assert_eq!(source.production_lines(), 2);
    }

    #[test]
    fn directories_exist_through_their_files() {
        let tree = Tree::of(&[("docs/adr/0001-a.md", "")]);
        assert!(
            tree.exists("docs/adr") && tree.exists("docs/") && tree.exists("docs/adr/0001-a.md")
        );
        assert!(!tree.exists("doc") && !tree.exists("docs/adr/0001"));
    }
}
