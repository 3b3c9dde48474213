<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * PostgreSQL cannot parse the statement (42601); position() says where.
 */
final class SyntaxError extends QueryError
{
}
