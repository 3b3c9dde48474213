<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * Finds the ends of what must not be looked into: strings, quoted identifiers, comments, dollar
 * quotes. It follows PostgreSQL's lexer with standard_conforming_strings on, and never fails: what
 * is not closed reaches to the end of the text, and PostgreSQL says what is wrong with it.
 *
 * Strings are searched rather than matched as a whole, since the length of a regular expression's
 * match is limited and that of a string is not.
 *
 * @internal
 */
final class SqlLexer
{
    /** Behind a string that continues on another line; a comment may stand between its parts. */
    private const CONTINUATION = '/\G(?:[ \t\f\r]|--[^\n]*+)*+\n(?:\s|--[^\n]*+\n)*+\'/';

    /**
     * The end of the literal or comment that begins at that offset, or null when none does.
     */
    public static function end(string $sql, int $at): ?int
    {
        $next = $sql[$at + 1] ?? '';

        return match ($sql[$at]) {
            "'" => self::string($sql, $at + 1),
            '"' => self::quoted($sql, $at + 1, '"'),
            '-' => $next === '-' ? self::lineComment($sql, $at) : null,
            '/' => $next === '*' ? self::blockComment($sql, $at) : null,
            '$' => self::dollarQuote($sql, $at),
            'e', 'E' => $next === "'" ? self::escapeString($sql, $at + 2) : null,
            default => null,
        };
    }

    private static function string(string $sql, int $at): int
    {
        return self::quoted($sql, $at, "'");
    }

    /** @param int $at behind the opening quote */
    private static function quoted(string $sql, int $at, string $quote): int
    {
        while (($end = strpos($sql, $quote, $at)) !== false) {
            if (($sql[$end + 1] ?? '') !== $quote) {
                return $end + 1;
            }
            $at = $end + 2;
        }

        return strlen($sql);
    }

    /** @param int $at behind the opening quote */
    private static function escapeString(string $sql, int $at): int
    {
        $length = strlen($sql);
        while (($at += strcspn($sql, "'\\", $at)) < $length) {
            if ($sql[$at] === '\\' || ($sql[$at + 1] ?? '') === "'") {
                $at = min($at + 2, $length);
            } elseif (preg_match(self::CONTINUATION, $sql, $found, 0, $at + 1) === 1) {
                // The next part is read like the first: backslashes escape there, too.
                $at += 1 + strlen($found[0]);
            } else {
                return $at + 1;
            }
        }

        return $length;
    }

    private static function lineComment(string $sql, int $at): int
    {
        return $at + strcspn($sql, "\r\n", $at);
    }

    /** Comments nest; their delimiters share letters, so the order of reading matters. */
    private static function blockComment(string $sql, int $at): int
    {
        $depth = 0;
        while (preg_match('~/\*|\*/~', $sql, $found, PREG_OFFSET_CAPTURE, $at) === 1) {
            [$delimiter, $start] = $found[0];
            $at = $start + 2;
            $depth += $delimiter === '/*' ? 1 : -1;
            if ($depth === 0) {
                return $at;
            }
        }

        return strlen($sql);
    }

    private static function dollarQuote(string $sql, int $at): ?int
    {
        $tag = '/\G\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+)?\$/';
        if (preg_match($tag, $sql, $found, 0, $at) !== 1) {
            return null;
        }
        $length = strlen($found[0]);
        $end = strpos($sql, $found[0], $at + $length);

        return $end === false ? strlen($sql) : $end + $length;
    }
}
