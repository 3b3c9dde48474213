<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;

/**
 * Literals for PostgreSQL with standard_conforming_strings on.
 *
 * @internal
 */
final class Quoting
{
    /** @return string|false the literal, false for what is no text */
    public static function quote(string $value, int $type = PDO::PARAM_STR): string|false
    {
        if (($type & 0xFFFF) === PDO::PARAM_LOB) {
            return "'\\x" . bin2hex($value) . "'";
        }
        // Text in another encoding may hide a quote from PostgreSQL, and a zero byte ends it.
        if (preg_match('//u', $value) !== 1 || str_contains($value, "\0")) {
            return false;
        }

        return "'" . str_replace("'", "''", $value) . "'";
    }
}
