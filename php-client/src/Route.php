<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * Which server of a database executes a statement; the values are those of the RPC API.
 */
enum Route: string
{
    /** The server decides: reads go to a replica where routing.read_write_split is on. */
    case Auto = 'auto';
    /** The server that takes writes: for reads that must see what another client has just written. */
    case Primary = 'primary';
    /** A replica, if there is one that is not too far behind; writes fail there with 25006. */
    case Replica = 'replica';
}
