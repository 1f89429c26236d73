//! The class name of every image of a folder, by the rule of the manifest.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use regex::Regex;

use crate::stage::StageError;
use crate::stage::pack::{ClassNames, Labels, TableLabels};

/// A folder of images by their names.
#[derive(Debug, Clone)]
pub(super) struct Folder<'a> {
    pub root: &'a Path,
    /// Relative paths, sorted.
    pub paths: Vec<&'a str>,
    /// With [`Labels::Table`].
    pub table: Option<&'a Path>,
}

impl Labels {
    /// The class name of every path, in their order, where paths alone tell them: not with a table.
    pub fn class_names(&self, paths: Vec<&str>) -> Result<Vec<String>, StageError> {
        class_names(self, &Folder { root: Path::new(""), paths, table: None })
    }
}

impl ClassNames {
    /// Whether the table has a name for each of the classes, by the rule of `pack`.
    pub fn fit(&self, classes: Vec<String>) -> bool {
        rename(&mut [classes], &self.table).is_ok()
    }
}

/// The class name of every file, in the order of the files.
pub(super) fn class_names(labels: &Labels, folder: &Folder<'_>) -> Result<Vec<String>, StageError> {
    match labels {
        Labels::ParentDir => from_ancestor(folder, 1),
        Labels::Ancestor(levels) => from_ancestor(folder, *levels as usize),
        Labels::Filename(pattern) => from_filename(folder, pattern),
        Labels::Table(columns) => from_table(folder, columns),
    }
}

/// Replaces class names by those that a table gives them. Classes that would have the same name keep their own beside it, as the
/// two cranes of ImageNet: `crane (n02012849)`, `crane (n03126707)`.
pub(super) fn rename(names: &mut [Vec<String>], path: &Path) -> Result<(), StageError> {
    let text = fs::read_to_string(path).map_err(|source| StageError::Io { path: path.to_owned(), source })?;
    let lines = text.lines().filter_map(|line| line.split_once('\t').or_else(|| line.split_once(',')));
    let table: HashMap<&str, &str> = lines.map(|(name, readable)| (name.trim(), readable.trim())).collect();
    let mut classes: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for name in names.iter().flatten() {
        let Some(readable) = table.get(name.as_str()).filter(|readable| !readable.is_empty()) else {
            return Err(StageError::Input { path: path.to_owned(), reason: format!("it has no name for the class {name}") });
        };
        classes.entry(readable).or_default().insert(name);
    }
    let new_name = |name: &String| match table[name.as_str()] {
        readable if classes[readable].len() > 1 => format!("{readable} ({name})"),
        readable => readable.to_owned(),
    };
    let new_names: Vec<Vec<String>> = names.iter().map(|names| names.iter().map(new_name).collect()).collect();
    names.clone_from_slice(&new_names);
    Ok(())
}

/// Checks a pattern for file names: it has to compile and to have a group.
pub(super) fn filename_pattern(pattern: &str) -> Result<Regex, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("`{pattern}` is not a regular expression: {}", reason(&error)))?;
    if regex.captures_len() < 2 {
        return Err(format!("`{pattern}` has no group: put what names the class in parentheses, as in `^(cat|dog)\\.`"));
    }
    Ok(regex)
}

/// The last line of what the library says; those before it draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn from_ancestor(folder: &Folder<'_>, levels: usize) -> Result<Vec<String>, StageError> {
    let name = |path: &&str| {
        // The folder's own name does not count: it may lie elsewhere tomorrow, under another name.
        let name = path.rsplit('/').nth(levels);
        name.map(str::to_owned).ok_or_else(|| {
            let reason = format!("there is no folder {levels} up within {}, so its class is unknown", folder.root.display());
            StageError::Input { path: folder.root.join(path), reason }
        })
    };
    folder.paths.iter().map(name).collect()
}

fn from_filename(folder: &Folder<'_>, pattern: &str) -> Result<Vec<String>, StageError> {
    let regex = filename_pattern(pattern).map_err(StageError::Invalid)?;
    let mut names = Vec::with_capacity(folder.paths.len());
    let mut strangers = Vec::new();
    for path in &folder.paths {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        match regex.captures(file_name).and_then(|captures| captures.get(1)).filter(|group| !group.is_empty()) {
            Some(group) => names.push(group.as_str().to_owned()),
            None => strangers.push(file_name),
        }
    }
    if strangers.is_empty() {
        return Ok(names);
    }
    let examples = strangers[..strangers.len().min(3)].join(", ");
    let all = folder.paths.len();
    let reason = match strangers.len() {
        number if number == all => format!("none of the {all} file names match `{pattern}`; they are like {examples}"),
        number => format!("{number} of {all} file names do not match `{pattern}`, such as {examples}"),
    };
    Err(StageError::Input { path: folder.root.to_owned(), reason })
}

fn from_table(folder: &Folder<'_>, columns: &TableLabels) -> Result<Vec<String>, StageError> {
    let path = folder.table.ok_or_else(|| StageError::Invalid("the table of labels was not given".to_owned()))?;
    let text = fs::read_to_string(path).map_err(|source| StageError::Io { path: path.to_owned(), source })?;
    let problem = |reason: String| StageError::Input { path: path.to_owned(), reason };
    let mut table = read_table(&text, columns).map_err(problem)?;
    let mut names = Vec::with_capacity(folder.paths.len());
    for path in &folder.paths {
        let name = table.remove(path);
        names.push(name.ok_or_else(|| problem(format!("it has no line for the image {path}")))?.to_owned());
    }
    match table.keys().min() {
        Some(first) => Err(problem(format!("{} of its lines have no image in {}, such as {first}", table.len(), folder.root.display()))),
        None => Ok(names),
    }
}

/// Path → class name. An error says which line is wrong.
fn read_table<'t>(text: &'t str, columns: &TableLabels) -> Result<HashMap<&'t str, &'t str>, String> {
    let separator = if text.lines().next().is_some_and(|line| line.contains('\t')) { '\t' } else { ',' };
    let mut table = HashMap::new();
    for (index, line) in text.lines().enumerate().skip(usize::from(columns.header)) {
        if line.trim().is_empty() {
            continue;
        }
        let column = |number: u32| {
            let field = line.split(separator).nth(number as usize - 1).map(str::trim).filter(|field| !field.is_empty());
            field.ok_or_else(|| format!("line {}: there is nothing in column {number}", index + 1))
        };
        let path = column(columns.path_column)?;
        let path = path.strip_prefix("./").unwrap_or(path);
        if table.insert(path, column(columns.label_column)?).is_some() {
            return Err(format!("line {}: {path} is listed twice", index + 1));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &Labels, paths: &[&str], table: Option<&str>) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.txt");
        if let Some(table) = table {
            fs::write(&path, table).unwrap();
        }
        let folder = Folder { root: Path::new("/set"), paths: paths.to_vec(), table: table.map(|_| path.as_path()) };
        let result = class_names(labels, &folder);
        result.map_err(|error| error.to_string().replace(&path.display().to_string(), "TABLE"))
    }

    fn table(header: bool) -> Labels {
        Labels::Table(TableLabels { file: "table.txt".into(), path_column: 1, label_column: 2, header })
    }

    #[test]
    fn folders_name_classes() {
        assert_eq!(names(&Labels::ParentDir, &["x/cat/1.jpg", "dog/2.jpg"], None).unwrap(), ["cat", "dog"]);
        assert_eq!(names(&Labels::Ancestor(2), &["n01/images/1.jpg", "a/n02/images/2.jpg"], None).unwrap(), ["n01", "n02"]);
        let error = names(&Labels::ParentDir, &["cat/1.jpg", "2.jpg"], None).unwrap_err();
        assert_eq!(error, "/set/2.jpg: there is no folder 1 up within /set, so its class is unknown");
    }

    #[test]
    fn file_names_name_classes() {
        let labels = Labels::Filename("^(cat|dog)\\.".to_owned());
        assert_eq!(names(&labels, &["cat.0.jpg", "x/dog.1.jpg"], None).unwrap(), ["cat", "dog"]);
        let error = names(&labels, &["cat.0.jpg", "cow.1.jpg", "a.jpg", "b.jpg", "c.jpg"], None).unwrap_err();
        assert_eq!(error, "/set: 4 of 5 file names do not match `^(cat|dog)\\.`, such as cow.1.jpg, a.jpg, b.jpg");
        let error = names(&labels, &["1.jpg", "x/2.jpg"], None).unwrap_err();
        assert_eq!(error, "/set: none of the 2 file names match `^(cat|dog)\\.`; they are like 1.jpg, 2.jpg");
    }

    #[test]
    fn a_table_names_classes() {
        let tiny_imagenet = "1.JPEG\tn02\t0\t32\t44\t62\n0.JPEG\tn01\t52\t55\t57\t59\n";
        assert_eq!(names(&table(false), &["0.JPEG", "1.JPEG"], Some(tiny_imagenet)).unwrap(), ["n01", "n02"]);
        let csv = "path,label\r\n./a/0.jpg, cat\r\n\r\na/1.jpg,dog\r\n";
        assert_eq!(names(&table(true), &["a/0.jpg", "a/1.jpg"], Some(csv)).unwrap(), ["cat", "dog"]);
    }

    #[test]
    fn a_table_that_does_not_fit_the_folder_is_an_error() {
        let error = |text: &str| names(&table(false), &["0.jpg", "1.jpg"], Some(text)).unwrap_err();
        assert_eq!(error("0.jpg,cat\n"), "TABLE: it has no line for the image 1.jpg");
        assert_eq!(error("0.jpg,a\n1.jpg,a\n3.jpg,a\n2.jpg,a\n"), "TABLE: 2 of its lines have no image in /set, such as 2.jpg");
        assert_eq!(error("0.jpg,cat\n1.jpg\n"), "TABLE: line 2: there is nothing in column 2");
        assert_eq!(error("0.jpg,cat\n0.jpg,dog\n"), "TABLE: line 2: 0.jpg is listed twice");
    }

    #[test]
    fn classes_get_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let words = folder.path().join("words.txt");
        // ImageNet's own lines; the last one is made up.
        fs::write(&words, "n01443537\tgoldfish, Carassius auratus\nn02084071\tdog\nn02085620,Chihuahua\nn9\tdog\n").unwrap();
        let renamed = |names: &[&str]| {
            let mut names = [names.iter().map(|name| (*name).to_owned()).collect(), vec!["n02085620".to_owned()]];
            rename(&mut names, &words).map(|()| names).map_err(|error| error.to_string().replace(&words.display().to_string(), "TABLE"))
        };
        let expected = [vec!["goldfish, Carassius auratus".to_owned(), "dog".into(), "dog".into()], vec!["Chihuahua".to_owned()]];
        assert_eq!(renamed(&["n01443537", "n02084071", "n02084071"]), Ok(expected));
        assert_eq!(renamed(&["n1"]), Err("TABLE: it has no name for the class n1".to_owned()));
        let expected = [vec!["dog (n9)".to_owned(), "dog (n02084071)".into()], vec!["Chihuahua".to_owned()]];
        assert_eq!(renamed(&["n9", "n02084071"]), Ok(expected));
    }
}
