<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * The two lines in which psql and PDO show where a statement is wrong:
 *
 *     LINE 1: SELECT 1 FRM users
 *                          ^
 *
 * @internal
 */
final class ErrorPosition
{
    /** Columns of the statement to show at most. */
    private const WIDTH = 60;
    /** Columns to show at least to the right of the position, when there are as many. */
    private const RIGHT = 10;

    /**
     * @param int $position in characters, from 1, as PostgreSQL counts
     * @return string the lines, or nothing when the statement has no such position
     */
    public static function show(string $sql, int $position): string
    {
        $characters = preg_split('//u', $sql, -1, PREG_SPLIT_NO_EMPTY);
        $at = $position - 1;
        if ($characters === false || $at < 0 || $at > count($characters)) {
            return '';
        }
        [$number, $line, $column] = self::line($characters, $at);
        [$from, $to] = self::window(count($line), $column);
        $text = implode('', array_slice($line, $from, $to - $from));
        $start = "LINE {$number}: " . ($from > 0 ? '...' : '');
        $caret = str_repeat(' ', strlen($start) + $column - $from) . '^';

        return $start . strtr($text, "\t", ' ') . ($to < count($line) ? '...' : '') . "\n{$caret}";
    }

    /**
     * @param list<string> $characters
     * @return array{int, list<string>, int} the line's number, its characters, the position in it
     */
    private static function line(array $characters, int $at): array
    {
        $before = implode('', array_slice($characters, 0, $at));
        $number = 1 + preg_match_all('/\r\n|\r|\n/', $before);
        $start = $at;
        while ($start > 0 && !self::endsLine($characters[$start - 1])) {
            $start--;
        }
        $end = $at;
        while ($end < count($characters) && !self::endsLine($characters[$end])) {
            $end++;
        }

        return [$number, array_slice($characters, $start, $end - $start), $at - $start];
    }

    /** @return array{int, int} which part of the line is shown */
    private static function window(int $length, int $column): array
    {
        if ($length <= self::WIDTH) {
            return [0, $length];
        }
        if ($column + self::RIGHT <= self::WIDTH) {
            return [0, self::WIDTH];
        }
        $to = min($length, $column + self::RIGHT);

        return [$to - self::WIDTH, $to];
    }

    private static function endsLine(string $character): bool
    {
        return $character === "\n" || $character === "\r";
    }
}
