<?php

declare(strict_types=1);

namespace RrPgpool\Pdo;

use PDOException;
use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\PoolExhausted;
use RrPgpool\Internal\Remedies;
use RrPgpool\Pdo\Internal\ErrorPosition;
use RrPgpool\Pdo\Internal\SqlStates;

/**
 * A PDOException as pdo_pgsql throws it: the SQLSTATE as its code, `errorInfo`, and a message in
 * PDO's format. getPrevious() is the package's own exception, with detail, hint and constraint.
 *
 * Frameworks decide by the text of a message whether to run a statement again. So the text of a lost
 * connection has words that they know, and that of an unknown outcome or an overload has none.
 */
final class PgpoolPdoException extends PDOException
{
    /** The code of libpq's fatal error, the only one that pdo_pgsql ever has. */
    private const FATAL = 7;
    private const LOST = 'server closed the connection unexpectedly';
    /** What frameworks take for a reason to run the statement again. */
    private const RETRIED = '/connection|broken pipe|reset by peer|query_wait_timeout|went away|0800/i';

    private function __construct(
        string $sqlstate,
        ?int $driverCode,
        ?string $text,
        ?PgpoolException $previous = null,
    ) {
        $message = "SQLSTATE[{$sqlstate}]: " . SqlStates::describe($sqlstate) . ':'
            . ($driverCode === null ? '' : " {$driverCode}") . ($text === null ? '' : " {$text}");
        parent::__construct($message, 0, $previous);
        $this->code = $sqlstate;
        $this->errorInfo = [$sqlstate, $driverCode, $text];
    }

    /** A failure that the pool or PostgreSQL reported; the statement as it was sent. */
    public static function from(PgpoolException $error, ?string $sql = null): self
    {
        $text = Remedies::forPdo($error->getMessage()) . self::more($error, $sql);
        $text = match (true) {
            $error instanceof ConnectionLost => 'FATAL:  ' . self::lost($text),
            $error instanceof OutcomeUnknown,
            $error instanceof PoolExhausted => 'ERROR:  ' . preg_replace(self::RETRIED, 'link', $text),
            default => "ERROR:  {$text}",
        };

        return new self($error->sqlstate(), self::FATAL, $text, $error);
    }

    /** A failure that this facade found by itself. */
    public static function of(string $sqlstate, ?string $text): self
    {
        return new self($sqlstate, null, $text);
    }

    /** A failure of this facade in the words of PostgreSQL. */
    public static function refused(string $sqlstate, string $text): self
    {
        return new self($sqlstate, self::FATAL, "ERROR:  {$text}");
    }

    /** libpq, too, puts these words under the server's own when a connection breaks. */
    private static function lost(string $text): string
    {
        return str_contains($text, self::LOST) ? $text : "{$text}\n" . self::LOST;
    }

    private static function more(PgpoolException $error, ?string $sql): string
    {
        $position = $error->position();
        $lines = [
            '' => $sql === null || $position === null ? '' : ErrorPosition::show($sql, $position),
            'DETAIL:  ' => $error->detail() ?? '',
            'HINT:  ' => $error->hint() ?? '',
        ];
        $text = '';
        foreach ($lines as $title => $line) {
            $text .= $line === '' ? '' : "\n{$title}{$line}";
        }

        return $text;
    }
}
