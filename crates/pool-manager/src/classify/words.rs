//! The keywords the classifier acts on, and the words that can never name a function.
//!
//! Only unquoted identifiers are looked up here; a quoted `"select"` is a name like any other.
//! Look-ups fold ASCII case and allocate nothing.

use std::cmp::Ordering;

/// Declares [`Keyword`] and the tables that find one; names stand in alphabetical order.
macro_rules! keywords {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A keyword that decides something in the classifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword { $($name),* }

        const KEYWORD_TEXTS: &[&str] = &[$($text),*];
        const KEYWORDS: &[Keyword] = &[$(Keyword::$name),*];
    };
}

keywords! {
    Abort = "abort", All = "all", Alter = "alter", Analyse = "analyse", Analyze = "analyze",
    And = "and", As = "as", Atomic = "atomic", Begin = "begin", By = "by", Call = "call",
    Case = "case", Chain = "chain", Characteristics = "characteristics", Close = "close",
    Columns = "columns", Commit = "commit", Conflict = "conflict", Constraints = "constraints",
    Copy = "copy", Create = "create", Cube = "cube", Deallocate = "deallocate",
    Declare = "declare", Delete = "delete", Discard = "discard", Distinct = "distinct",
    Do = "do", Drop = "drop", End = "end", Escape = "escape", Except = "except",
    Execute = "execute", Explain = "explain", False = "false", Fetch = "fetch", First = "first",
    For = "for", Function = "function", Global = "global", Group = "group",
    Grouping = "grouping", Having = "having", Hold = "hold", Ilike = "ilike",
    Insert = "insert", Intersect = "intersect", Into = "into", Join = "join", Key = "key",
    Like = "like", Limit = "limit", Listen = "listen", Load = "load", Local = "local",
    Lock = "lock", Materialized = "materialized", Merge = "merge", Move = "move", Next = "next",
    No = "no", Not = "not", Notify = "notify", Offset = "offset", On = "on",
    Operator = "operator", Or = "or", Order = "order", Ordinality = "ordinality",
    Overlaps = "overlaps", Partition = "partition", Passing = "passing", Prepare = "prepare",
    Prepared = "prepared", Procedure = "procedure", Recursive = "recursive",
    Release = "release", Replace = "replace", Reset = "reset", Role = "role",
    Rollback = "rollback", Rollup = "rollup", Savepoint = "savepoint", Select = "select",
    Session = "session", Set = "set", Sets = "sets", Share = "share", Show = "show",
    Start = "start", Table = "table", Tablesample = "tablesample", Temp = "temp",
    Temporary = "temporary", Then = "then", Time = "time", To = "to",
    Transaction = "transaction", True = "true", Truncate = "truncate", Union = "union",
    Unlisten = "unlisten", Update = "update", Value = "value", Values = "values",
    Varying = "varying", Verbose = "verbose", Where = "where", Window = "window",
    With = "with", Within = "within", Work = "work", Zone = "zone",
}

impl Keyword {
    /// The keyword that an unquoted word spells.
    pub(super) fn of(word: &str) -> Option<Self> {
        KEYWORDS.get(find(KEYWORD_TEXTS, &KEYWORD_STARTS, word)?).copied()
    }
}

/// PostgreSQL's reserved words and those that name a column at most, of releases 15 to 18. An
/// opening parenthesis after one of them belongs to SQL's own syntax (`IN (`, `COALESCE (`,
/// `VARCHAR (`), never to a user's function.
const NEVER_FUNCTIONS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "between",
    "bigint",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "from",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "in",
    "initially",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "nchar",
    "none",
    "normalize",
    "not",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "row",
    "select",
    "session_user",
    "setof",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// True for an unquoted word that no function can bear.
pub(super) fn never_function(word: &str) -> bool {
    find(NEVER_FUNCTIONS, &NEVER_FUNCTION_STARTS, word).is_some()
}

const LETTERS: usize = 26;
/// Where the words of each first letter begin in a table, and behind the last letter their number.
type Starts = [usize; LETTERS + 1];

const KEYWORD_STARTS: Starts = starts(KEYWORD_TEXTS);
const NEVER_FUNCTION_STARTS: Starts = starts(NEVER_FUNCTIONS);

const fn starts(words: &[&str]) -> Starts {
    let mut starts = [0; LETTERS + 1];
    let mut place = 0;
    while place <= LETTERS {
        let mut count = 0;
        while count < words.len() && ((words[count].as_bytes()[0] - b'a') as usize) < place {
            count += 1;
        }
        starts[place] = count;
        place += 1;
    }
    starts
}

/// Where `word` stands among `words`: compared only with those that begin like it, and of these
/// mostly only by length.
fn find(words: &[&str], starts: &Starts, word: &str) -> Option<usize> {
    let first = word.bytes().next()?.to_ascii_lowercase();
    let place = usize::from(first.checked_sub(b'a')?);
    let (from, to) = (*starts.get(place)?, *starts.get(place + 1)?);
    let at = words.get(from..to)?.iter().position(|text| text.eq_ignore_ascii_case(word))?;
    Some(from + at)
}

/// Orders a lower-case `text` against `word` read in lower case.
pub(super) fn compare_folded(text: &str, word: &str) -> Ordering {
    text.bytes().cmp(word.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_lower_case() {
        for words in [KEYWORD_TEXTS, NEVER_FUNCTIONS] {
            assert!(words.is_sorted_by(|a, b| a < b));
            for (at, word) in words.iter().enumerate() {
                assert_eq!(*word, word.to_ascii_lowercase());
                assert_eq!(find(words, &starts(words), word), Some(at));
            }
        }
    }

    #[test]
    fn lookup_ignores_case_and_is_exact() {
        assert_eq!(Keyword::of("SeLeCt"), Some(Keyword::Select));
        assert_eq!(Keyword::of("selec"), None);
        assert_eq!(Keyword::of("selects"), None);
        assert!(never_function("COALESCE"));
        assert!(!never_function("left"));
    }
}
