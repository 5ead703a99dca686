//! Owns the tokens of JAAS texts: what Java's `StreamTokenizer` makes of a text when `$`, `_` and `-` belong to words.
//!
//! ```text
//! word    = a letter, $ _ or any character above U+009F, then also digits, dots and hyphens
//! number  = begins with a digit, a dot, or a hyphen and one of these; it has no text
//! string  = from " or ' to the same character, or to the end of the line; \ooo \a \b \f \n \r \t \v, \x is x itself
//! comment = // and, as a slash is never anything else, / up to the end of the line; /* up to */
//! ```

use std::iter::Peekable;
use std::str::Chars;

/// One token.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// A word.
    Word(String),
    /// A string; whether its quotes are double ones.
    Quoted(String, bool),
    /// A number. Nothing in a JAAS text may be one.
    Number,
    /// Any other character.
    Other(char),
    /// The end of the text, again and again.
    End,
}

/// Reads the tokens of one text.
pub struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl<'a> Tokens<'a> {
    /// Begins at the start of a text.
    pub fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars().peekable(),
            line: 1,
        }
    }

    /// The line that the last token ends in; the first line is 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The next token.
    pub fn next_token(&mut self) -> Token {
        loop {
            let Some(c) = self.read() else {
                return Token::End;
            };
            match c {
                '\0'..=' ' => {}
                '-' if !self.rest.peek().copied().is_some_and(begins_number) => return Token::Other('-'),
                '-' | '.' | '0'..='9' => {
                    self.skip_number(c);
                    return Token::Number;
                }
                _ if begins_word(c) => return Token::Word(self.word(c)),
                '"' | '\'' => return Token::Quoted(self.quoted(c), c == '"'),
                '/' if self.rest.peek() == Some(&'*') => self.skip_block(),
                '/' => while self.rest.next_if(|c| *c != '\n' && *c != '\r').is_some() {},
                _ => return Token::Other(c),
            }
        }
    }

    fn read(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        let ends_line = c == '\n' || (c == '\r' && self.rest.peek() != Some(&'\n'));
        self.line += usize::from(ends_line);
        Some(c)
    }

    /// Skips the digits and the one dot of a number.
    fn skip_number(&mut self, first: char) {
        let mut has_dot = first == '.';
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_digit() || (*c == '.' && !has_dot))
        {
            has_dot |= c == '.';
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self
            .rest
            .next_if(|c| begins_word(*c) || begins_number(*c) || *c == '-')
        {
            word.push(c);
        }
        word
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '\n' && *c != '\r') {
            match c {
                _ if c == quote => break,
                '\\' => text.extend(self.escaped()),
                _ => text.push(c),
            }
        }
        text
    }

    /// The character that an escape stands for; nothing at the end of the text.
    fn escaped(&mut self) -> Option<char> {
        let c = self.read()?;
        Some(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let mut digits = String::from(c);
                let digits_max = if c <= '3' { 3 } else { 2 };
                while digits.len() < digits_max
                    && let Some(digit) = self.rest.next_if(|c| matches!(c, '0'..='7'))
                {
                    digits.push(digit);
                }
                let code = u8::from_str_radix(&digits, 8).expect("up to 377 fits a byte");
                char::from(code)
            }
            _ => c,
        })
    }

    fn skip_block(&mut self) {
        self.rest.next();
        let mut last = ' ';
        while let Some(c) = self.read() {
            if last == '*' && c == '/' {
                break;
            }
            last = c;
        }
    }
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$' || c >= '\u{a0}'
}

fn begins_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}
