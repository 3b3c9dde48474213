<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

use RuntimeException;
use Throwable;

/**
 * Base of everything this package throws, and itself the exception for an SQLSTATE without a class of
 * its own. The message is PostgreSQL's, or the pool's; what it says to do instead is in PHP words.
 */
class PgpoolException extends RuntimeException
{
    /** @var array<string, mixed> */
    private readonly array $fields;
    private ?string $query;

    /**
     * @param string $sqlstate five characters
     * @param array<string, mixed> $fields `error_detail` of the reply, and `statement`
     * @param string|null $query the statement, if there was one
     */
    final public function __construct(
        string $message,
        private readonly string $sqlstate,
        array $fields = [],
        ?string $query = null,
        ?Throwable $previous = null,
    ) {
        parent::__construct($message, 0, $previous);
        $this->fields = $fields;
        $this->query = $query;
    }

    /** PostgreSQL's five-character code, see its appendix A. */
    public function sqlstate(): string
    {
        return $this->sqlstate;
    }

    /** ERROR, or FATAL or PANIC where PostgreSQL ended the connection; null where nobody was asked. */
    public function severity(): ?string
    {
        return $this->text('severity');
    }

    /** The server's DETAIL, such as `Key (email)=(a@b) already exists.` */
    public function detail(): ?string
    {
        return $this->text('detail');
    }

    /** The server's HINT. */
    public function hint(): ?string
    {
        return $this->text('hint');
    }

    /** Name of the violated constraint. */
    public function constraint(): ?string
    {
        return $this->text('constraint');
    }

    /** Schema of the table concerned. */
    public function schema(): ?string
    {
        return $this->text('schema');
    }

    /** The table concerned. */
    public function table(): ?string
    {
        return $this->text('table');
    }

    /** The column concerned. */
    public function column(): ?string
    {
        return $this->text('column');
    }

    /** Where in the statement the error is, in characters, from 1. */
    public function position(): ?int
    {
        $position = $this->fields['position'] ?? null;

        return is_numeric($position) ? (int) $position : null;
    }

    /** Which statement of an atomic batch failed, from 0. */
    public function statement(): ?int
    {
        $index = $this->fields['statement'] ?? null;

        return is_int($index) ? $index : null;
    }

    /** The statement that failed, with its placeholders. */
    public function query(): ?string
    {
        return $this->query;
    }

    /**
     * Names the statement; for those that know it better than the thrower.
     *
     * @internal
     */
    final public function attachQuery(string $query): void
    {
        $this->query = $query;
    }

    private function text(string $field): ?string
    {
        $text = $this->fields[$field] ?? null;

        return is_scalar($text) ? (string) $text : null;
    }
}
