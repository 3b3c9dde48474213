<?php

declare(strict_types=1);

namespace RrPgpool\Example;

/**
 * Prints what the demo does and gets.
 */
final class Output
{
    public static function title(string $text): void
    {
        echo "\n== {$text} ==\n";
    }

    public static function line(string $text): void
    {
        echo "   {$text}\n";
    }

    /**
     * Prints an Execute reply: its rows as a table, or how many rows it changed, or its error.
     *
     * @param array<string, mixed> $reply
     */
    public static function reply(array $reply): void
    {
        if (isset($reply['error'])) {
            self::line("error {$reply['sqlstate']}: {$reply['error']}");
        } elseif (isset($reply['columns'])) {
            $names = array_column($reply['columns'], 'name');
            self::table($names, array_map(array_values(...), $reply['rows']));
        } else {
            self::line("{$reply['rows_affected']} rows affected");
        }
    }

    /**
     * @param list<string> $names
     * @param list<list<mixed>> $rows
     */
    public static function table(array $names, array $rows): void
    {
        $cells = [$names];
        foreach ($rows as $row) {
            $cells[] = array_map(self::text(...), $row);
        }
        $widths = [];
        foreach (array_keys($names) as $column) {
            $widths[] = max(array_map(self::width(...), array_column($cells, $column)));
        }
        foreach ($cells as $number => $row) {
            $padded = [];
            foreach ($row as $column => $cell) {
                $padded[] = $cell . str_repeat(' ', $widths[$column] - self::width($cell));
            }
            self::line(rtrim(implode(' | ', $padded)));
            if ($number === 0) {
                self::line(implode('-+-', array_map(fn (int $width) => str_repeat('-', $width), $widths)));
            }
        }
    }

    /** Characters, not bytes; without ext-mbstring, which not every PHP has. */
    private static function width(string $text): int
    {
        return (int) preg_match_all('/./su', $text);
    }

    /** One value as one line of text: null, booleans and nested values as JSON. */
    private static function text(mixed $value): string
    {
        return is_string($value)
            ? $value
            : json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);
    }
}
