//! Just enough of Rust's lexer to tell code from comments, texts and tests.

/// A Rust file whose comments and texts are blanked, line by line as it was.
#[derive(Clone, Debug)]
pub struct Code(String);

impl Code {
    /// All code of the file.
    pub fn of(text: &str) -> Code {
        Code(blank(text))
    }

    /// The code that ships: items under `#[cfg(test)]` are blanked too.
    pub fn shipped(text: &str) -> Code {
        let mut code = blank(text);
        let mut from = 0;
        while let Some(at) = code[from..].find("#[cfg(").map(|at| from + at) {
            from = at + 1;
            let Some(end) = balanced(&code, at + 1, '[', ']') else { break };
            let condition: Vec<&str> = words(&code[at..end]).map(|(_, word)| word).collect();
            if condition.contains(&"test") && !condition.contains(&"not") {
                let end = item_end(&code, end);
                code.replace_range(at..end, &erased(&code[at..end]));
            }
        }
        Code(code)
    }

    /// Each line with its number, from 1 on.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Each word (identifier, keyword or number) with the number of its line.
    pub fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().flat_map(|(number, line)| words(line).map(move |(_, word)| (number, word)))
    }

    /// The lines where `path` stands, as whole words with nothing but space between them: `a::b` or `a!`.
    pub fn find(&self, path: &str) -> Vec<usize> {
        let hit = |line: &str| {
            line.match_indices(path).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + path.len()..].chars().next();
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !is_word(before) && (path.ends_with('!') || !is_word(after))
            })
        };
        self.lines().filter(|(_, line)| hit(line)).map(|(number, _)| number).collect()
    }
}

/// The words of `text` with their offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(|c: char| c.is_alphanumeric() || c == '_')?;
        let length = text[start..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        from = length.map_or(text.len(), |length| start + length);
        Some((start, &text[start..from]))
    })
}

/// Where the bracket that opens at `open` closes (just behind it).
fn balanced(code: &str, open: usize, left: char, right: char) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in code[open..].char_indices() {
        if c == left {
            depth += 1;
        } else if c == right {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(open + at + c.len_utf8());
            }
        }
    }
    None
}

/// Where the item that begins at `start` ends: behind its `;` or its outermost `}`.
fn item_end(code: &str, start: usize) -> usize {
    match code[start..].find([';', '{']).map(|at| start + at) {
        Some(at) if code[at..].starts_with('{') => balanced(code, at, '{', '}').unwrap_or(code.len()),
        Some(at) => at + 1,
        None => code.len(),
    }
}

/// As many lines, with nothing in them.
fn erased(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(c) = rest.chars().next() {
        // A prefix such as r or b# belongs to a text only where no word goes on.
        let length = if after_word { plain(rest) } else { prefixed(rest) }.or_else(|| comment(rest));
        match length {
            Some(length) => {
                code.push_str(&erased(&rest[..length]));
                rest = &rest[length..];
                after_word = false;
            }
            None => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
                after_word = c.is_alphanumeric() || c == '_';
            }
        }
    }
    code
}

/// The length of the comment that begins here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then_some(())?;
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// The length of the text that begins here, with a prefix such as `b`, `c`, `r#` or `br##`.
fn prefixed(text: &str) -> Option<usize> {
    let letters = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    if letters == 0 || letters > 2 {
        return plain(text);
    }
    let behind = &text[letters..];
    if text[..letters].ends_with('r') {
        let hashes = behind.len() - behind.trim_start_matches('#').len();
        let body = behind[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&close).map_or(body.len(), |at| at + close.len());
        return Some(letters + hashes + 1 + length);
    }
    plain(behind).map(|length| letters + length)
}

/// The length of the text or character that begins here.
fn plain(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    match quote {
        '"' => {
            let mut escaped = false;
            for (at, c) in chars {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => return Some(at + 1),
                    _ => {}
                }
            }
            Some(text.len())
        }
        '\'' => {
            let (_, first) = chars.next()?;
            if first == '\\' {
                let (_, _escaped) = chars.next()?;
                return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
            }
            // Without a second quote here it is a lifetime.
            chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        Code::of(text).0.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_texts_are_blanked() {
        assert_eq!(left("a // b\nc"), "a c");
        assert_eq!(left("a /* b /* c */ d */ e"), "a e");
        assert_eq!(left(r#"f("a // \" b") g"#), "f( ) g");
        assert_eq!(left("f(r#\"a \" // b\"#) g // h"), "f( ) g");
        assert_eq!(left(r"f(b'\'', '\u{41}', 'x', b'x') g"), "f( , , , ) g");
        assert_eq!(left("fn f<'a>(x: &'a str, y: &'static str) {} // t"), "fn f<'a>(x: &'a str, y: &'static str) {}");
        assert_eq!(left(r#"bar"text" crab"text" x"#), "bar crab x");
        assert_eq!(left("/// tokio\n//! tokio\nx"), "x");
        assert_eq!(left("\"never closed"), "");
        assert_eq!(left("/* never closed"), "");
    }

    #[test]
    fn lines_stay_where_they_were() {
        let text = "a\n/* b\n b */ c\n\"d\n d\" e";
        let found: Vec<_> = Code::of(text).words().map(|(line, word)| (line, word.to_string())).collect();
        assert_eq!(found, [(1, "a".to_string()), (3, "c".to_string()), (5, "e".to_string())]);
    }

    #[test]
    fn tests_do_not_ship() {
        let text = "a; #[cfg(test)] mod tests { fn b() { } } c; #[cfg(test)] use d; #[cfg(all(test, unix))] fn e() {} f; #[cfg(not(test))] g;";
        let code = Code::shipped(text);
        let names: Vec<_> = code.words().map(|(_, word)| word).filter(|word| word.len() == 1).collect();
        assert_eq!(names, ["a", "c", "f", "g"]);
    }

    #[test]
    fn paths_are_found_as_whole_words() {
        let code = Code::of("Instant::now();\nMyInstant::now(); Instant::nowhere();\ndbg!(x)\nxdbg!(x)");
        assert_eq!(code.find("Instant::now"), [1]);
        assert_eq!(code.find("dbg!"), [3]);
    }
}
